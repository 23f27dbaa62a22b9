"""TRADES: fit clean images, and hold their predictions still under attack."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.losses._terms import trades_terms, trades_weights
from lsp_keras.methods._adversarial import AdversarialTrainer
from lsp_keras.methods._trainer import Terms, Weights
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import check_positive

__all__ = ["TRADESTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class TRADESTrainer(AdversarialTrainer):
    """Minimizes `lsp_keras.losses.trades_loss`, CE(f(x), y) + beta * KL(f(x) || f(x')).

    The logs hold the two as `cross_entropy` and `kl`. The attack sees the classifier in inference
    mode. In training mode the clean images pass, then the adversarial ones, each normalized by
    their own statistics; BatchNorm's moving averages follow both. Regularizers start from the
    adversarial images. Saved are the classifier, the settings of attack and regularizers, beta
    and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        attack: Attack that makes the adversarial images; the published one is `PGD(epsilon=8 / 255,
            step_size=2 / 255, num_steps=10, objective="kl", start="gaussian")`.
        beta: Weight of the divergence, zero or more.
        warmup_steps: Steps over which the perturbation grows from nothing to its full size; a
            network that is not robust yet needs some when it is fine-tuned.
        regularizers: Terms to add.
        seed: Seed of all random draws in training, such as the attack's starts.
        name: Name of the model.

    Raises:
        InputError: `beta` is negative.

    References:
        Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy, 2019,
        Eq. 5 and Algorithm 1; reference code, `trades.py`.

    Differs from the reference:
        Its code passes the clean images twice, once for each term: the logits are the same, but
        its moving averages see the clean images twice.
    """

    attack_options: ClassVar[Mapping[str, str]] = {"objective": "kl", "start": "gaussian"}
    smooths_labels: ClassVar[bool] = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        attack: Attack,
        beta: float = 6.0,
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("beta", beta, allow_zero=True)
        self.beta = beta
        super().__init__(
            classifier,
            attack=attack,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return trades_weights(self.beta)

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        clean_logits, anchor = self.clean_and_adversarial(batch, perturbed)
        smoothing = self.options.label_smoothing
        labels = batch["labels"]
        return trades_terms(labels, clean_logits, anchor.logits, smoothing=smoothing), anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {**super().get_config(), "beta": self.beta}
