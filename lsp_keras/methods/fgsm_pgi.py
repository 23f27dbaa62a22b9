"""FGSM-PGI: one step from where the last epoch's attack on the same image ended."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from lsp_keras.methods._single_step import GradientMode, SingleStepTrainer
from lsp_keras.methods._trainer import Terms, Weights
from lsp_keras.ops import random
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import InputError, check_positive

__all__ = ["FGSMPGITrainer"]

# Remembered perturbations lie in [-1, 1], in lengths of epsilon.
_UNSEEN = 2.0


@keras.saving.register_keras_serializable("lsp_keras")
class FGSMPGITrainer(SingleStepTrainer):
    """Minimizes CE(f(x'), y) + beta * mean square of f(x') - f(x + prior).

    The prior is the perturbation that the attack on the same training image ended with when it
    was last trained on, and random signs of size epsilon the first time. From there the attack
    makes one step and is put back into the ball; x' is what it finds, and its perturbation is the
    next prior. The second term holds the logits still over that step; gradients flow into both of
    its passes. The logs hold the terms as `cross_entropy` and `prior`. See `SingleStepTrainer` for
    what happens when the step is outwitted.

    In training mode the prior's images pass, then x', each normalized by their own statistics;
    BatchNorm's moving averages follow both. Regularizers start from x'. Saved are the classifier,
    the settings of attack and regularizers, the attack's strength, all perturbations in half
    precision (300 MB for CIFAR-10), beta and the seed. It trains on one device.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits; its input shape is fixed.
        num_images: Number of training images; a batch's `indices` lie in [0, num_images).
        epsilon: L-inf radius on the [0, 1] scale, a number or text such as "8/255".
        step_size: Length of the step, on the [0, 1] scale. Default: epsilon.
        gradient_mode: Mode of the classifier in the attack's pass, `"training"` or
            `"inference"`.
        beta: Weight of the term that holds the logits still over the step, zero or more.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Raises:
        InputError: A value is out of its range, or the classifier has no fixed input shape.

    References:
        Jia et al., Prior-Guided Adversarial Initialization for Fast Adversarial Training, ECCV
        2022, FGSM-EP; github.com/jiaxiaojunQAQ/FGSM-PGI.

    Differs from the reference:
        The published code is that of FGSM-MEP, which remembers a momentum of the gradients beside
        the perturbation, and forgets both every 40 epochs. The prior's images pass twice, once
        for the attack and once for the loss. As there, a prior is not moved along with the crop
        and the flip of its image.
    """

    smooths_labels: ClassVar[bool] = True
    uses_whole_batch: ClassVar[bool] = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        num_images: int,
        epsilon: float | str = "8/255",
        step_size: float | str | None = None,
        gradient_mode: GradientMode = "training",
        beta: float = 10.0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("beta", beta, allow_zero=True)
        check_positive("num_images", num_images)
        shape = tuple(getattr(classifier, "input_shape", None) or (None, None))[1:]
        if None in shape:
            raise InputError(
                "FGSM-PGI remembers a perturbation of each image, so that the classifier's input "
                f"shape must be fixed. Received: {shape}."
            )
        self.beta = beta
        self.num_images = num_images
        super().__init__(
            classifier,
            epsilon=epsilon,
            noise=None,
            step_size=step_size,
            clip=True,
            gradient_mode=gradient_mode,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )
        self.priors = self.add_weight(
            shape=(num_images, *shape),
            dtype="float16",
            initializer=keras.initializers.Constant(_UNSEEN),
            trainable=False,
            name="priors",
        )

    def draw(self, batch: Batch) -> tf.Tensor:
        """The last perturbation of each image, in lengths of epsilon, or random signs."""
        remembered = tf.cast(tf.gather(self.priors.value, batch["indices"]), tf.float32)
        return tf.where(remembered < _UNSEEN, remembered, self._signs(batch))

    def perturb(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Adversarial images, and those that the attack started from."""
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise InputError("FGSM-PGI trains on one device: its memory is not shared.")
        prior = self.draw(batch)
        start, found = self.start(batch, prior), self.climb(batch, prior, self.misfit(batch))
        perturbations = tf.cast((found - batch["images"]) / self.epsilon, tf.float16)
        self.priors.value.scatter_update(tf.IndexedSlices(perturbations, batch["indices"]))
        return found, start

    def perturb_unseen(self, batch: Batch) -> tf.Tensor:
        """Images of an attack that starts from random signs."""
        return self.climb(batch, self._signs(batch), self.misfit(batch))

    def adversarial_images(self, perturbed: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return perturbed[0]

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return {"cross_entropy": 1.0, "prior": self.beta}

    def compute_terms(
        self, batch: Batch, perturbed: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[Terms, Anchor]:
        adversarial, start = perturbed
        prior_logits = self.forward(start).logits
        anchor = self.anchor_pass(adversarial, batch)
        moves = tf.cast(anchor.logits, tf.float32) - tf.cast(prior_logits, tf.float32)
        terms = {
            "cross_entropy": self.cross_entropy(batch["labels"], anchor.logits),
            "prior": tf.reduce_mean(tf.square(moves), axis=1),
        }
        return terms, anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        kept = {
            name: value
            for name, value in super().get_config().items()
            if name not in ("noise", "clip", "warmup_steps")
        }
        return {**kept, "beta": self.beta, "num_images": self.num_images}

    def _signs(self, batch: Batch) -> tf.Tensor:
        return random.signs(self.step_seed(), batch["indices"], tuple(batch["images"].shape[1:]))
