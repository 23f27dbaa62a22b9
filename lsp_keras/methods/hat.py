"""HAT: TRADES, with a plain model's label for what lies beyond the adversarial image."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.losses._terms import hat_terms, hat_weights
from lsp_keras.methods._adversarial import AdversarialTrainer
from lsp_keras.methods._trainer import Terms, Weights
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import InputError, check_positive

__all__ = ["HATTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class HATTrainer(AdversarialTrainer):
    """Minimizes `lsp_keras.losses.hat_loss`: TRADES and the helper's label of a stretched image.

    The stretched image is x + stretch * (x' - x), not clipped to [0, 1], as in the reference
    code; its label is the class that the helper gives x'. The logs hold CE(f(x), y) as
    `cross_entropy`, KL(f(x) || f(x')) as `kl` and the cross-entropy of the stretched image as
    `helper`.

    The attack sees the classifier, and the helper always works, in inference mode. In training
    mode the clean, the adversarial and the stretched images pass, in this order, each normalized
    by their own statistics; BatchNorm's moving averages follow all three, as in the reference
    code. Regularizers start from the adversarial images. Saved are the classifier, the helper,
    the settings of attack and regularizers, the weights of the terms and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        attack: Attack that makes the adversarial images; the published one is `PGD(epsilon=8 / 255,
            step_size=2 / 255, num_steps=10, objective="kl", start="gaussian")`.
        helper: Classifier of the same classes, trained without an attack; it is frozen, that is,
            its `trainable` becomes `False`.
        beta: Weight of the divergence, zero or more.
        gamma: Weight of the helper's labels, zero or more.
        stretch: Distance h of the stretched image, in lengths of the perturbation.
        warmup_steps: Steps over which the perturbation grows from nothing to its full size; a
            network that is not robust yet needs some when it is fine-tuned.
        regularizers: Terms to add.
        seed: Seed of all random draws in training, such as the attack's starts.
        name: Name of the model.

    Raises:
        InputError: A weight is negative, `stretch` is not positive, or the helper does not suit
            the classifier.

    References:
        Rade and Moosavi-Dezfooli, Reducing Excessive Margin to Achieve a Better Accuracy vs.
        Robustness Trade-off, ICLR 2022, Algorithm 1; reference code, `core/utils/hat.py`.
    """

    attack_options: ClassVar[Mapping[str, str]] = {"objective": "kl", "start": "gaussian"}
    smooths_labels: ClassVar[bool] = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        attack: Attack,
        helper: keras.Model,
        beta: float = 2.5,
        gamma: float = 0.5,
        stretch: float = 2.0,
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("beta", beta, allow_zero=True)
        check_positive("gamma", gamma, allow_zero=True)
        check_positive("stretch", stretch)
        _check_helper(helper, classifier)
        self.beta = beta
        self.gamma = gamma
        self.stretch = stretch
        super().__init__(
            classifier,
            attack=attack,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )
        helper.trainable = False
        self.helper = helper

    def perturb(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Adversarial images, and the classes that the helper gives them, int64 `(batch,)`."""
        adversarial = super().perturb(batch)
        return adversarial, tf.argmax(self.helper(adversarial, training=False), axis=1)

    def adversarial_images(self, perturbed: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return perturbed[0]

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return hat_weights(self.beta, self.gamma)

    def compute_terms(
        self, batch: Batch, perturbed: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[Terms, Anchor]:
        images, (adversarial, helper_labels) = batch["images"], perturbed
        clean_logits, anchor = self.clean_and_adversarial(batch, adversarial)
        stretched = images + self.stretch * (adversarial - images)
        stretched_logits = self.forward(stretched).logits
        terms = hat_terms(
            batch["labels"],
            clean_logits,
            anchor.logits,
            stretched_logits,
            helper_labels,
            smoothing=self.options.label_smoothing,
        )
        return terms, anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {
            **super().get_config(),
            "helper": keras.saving.serialize_keras_object(self.helper),
            "beta": self.beta,
            "gamma": self.gamma,
            "stretch": self.stretch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The trainer that `get_config` described."""
        helper = keras.saving.deserialize_keras_object(config["helper"], custom_objects)
        return super().from_config({**config, "helper": helper}, custom_objects)


def _check_helper(helper: keras.Model, classifier: keras.Model) -> None:
    if helper is classifier:
        raise InputError(
            "`helper` must be a model of its own, trained without an attack. Received: the "
            "classifier itself."
        )
    known, asked = (getattr(model, "output_shape", None) for model in (helper, classifier))
    if known is not None and asked is not None and known[-1] != asked[-1]:
        raise InputError(
            f"`helper` must know the classifier's {asked[-1]} classes. Received: a helper of "
            f"{known[-1]} classes."
        )
