"""Nuclear norm adversarial training: clean images, and few directions to move their logits in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import tensorflow as tf

from lsp_keras.losses._terms import nuat_terms, nuat_weights, nuclear_distance
from lsp_keras.methods._single_step import GradientMode, SingleStepTrainer
from lsp_keras.methods._trainer import Terms, Weights
from lsp_keras.ops import random
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.ops.warmup import warmed_share
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import check_positive

__all__ = ["NuATTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class NuATTrainer(SingleStepTrainer):
    """Minimizes `lsp_keras.losses.nuat_loss`, CE(f(x), y) + beta * ||f(x') - f(x)||_* / batch.

    The attack starts from noise of size `noise` and random signs, and makes a step of `step_size`
    that climbs CE(f(x'), y), and in every second training step that loss with the nuclear norm
    added; x' is put back into the ball. See `SingleStepTrainer` for what happens when the step is
    outwitted. The logs hold the two terms as `cross_entropy` and `nuclear`.

    In training mode the clean images pass, then the adversarial ones, each normalized by their
    own statistics; BatchNorm's moving averages follow both. Regularizers start from the
    adversarial images. Saved are the classifier, the settings of attack and regularizers, the
    attack's strength, beta and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        epsilon: L-inf radius on the [0, 1] scale, a number or text such as "8/255".
        noise: Size of the random signs, on the [0, 1] scale. Default: epsilon / 2.
        step_size: Length of the step, on the [0, 1] scale. Default: epsilon.
        gradient_mode: Mode of the classifier in the attack's pass, `"training"` or
            `"inference"`.
        beta: Weight of the nuclear norm, zero or more; a larger batch takes a larger one.
        warmup_steps: Steps of training over which beta grows from zero, in the attack too; in the
            reference all of them.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Raises:
        InputError: A value is out of its range.

    References:
        Sriramanan, Addepalli, Baburaj and Babu, Towards Efficient and Effective Adversarial
        Training, NeurIPS 2021; github.com/val-iisc/NuAT, `CIFAR10/NuAT_WA_cifar10.py`, where
        beta is 4 and a batch has 64 images.

    Differs from the reference:
        The clean images pass once in training mode, not twice, and before the adversarial ones.
        The attack compares with clean logits in its own mode, not in training mode.
    """

    smooths_labels: ClassVar[bool] = True
    noise_per_radius: ClassVar[float] = 0.5

    def __init__(
        self,
        classifier: keras.Model,
        *,
        epsilon: float | str = "8/255",
        noise: float | str | None = None,
        step_size: float | str | None = None,
        gradient_mode: GradientMode = "inference",
        beta: float = 4.0,
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("beta", beta, allow_zero=True)
        self.beta = beta
        super().__init__(
            classifier,
            epsilon=epsilon,
            noise=noise,
            step_size=step_size,
            clip=True,
            gradient_mode=gradient_mode,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )

    def draw(self, batch: Batch) -> tf.Tensor:
        """Random signs."""
        return random.signs(self.step_seed(), batch["indices"], tuple(batch["images"].shape[1:]))

    def perturb(self, batch: Batch) -> tf.Tensor:
        noise, misfit = self.draw(batch), self.misfit(batch)
        weight = self._weight(self.iteration())

        def plain() -> tf.Tensor:
            return self.climb(batch, noise, misfit)

        def joined() -> tf.Tensor:
            clean_logits = self.attack_pass(batch["images"])

            def objective(logits: tf.Tensor) -> tf.Tensor:
                # As published, the terms are weighed at the model's own scale.
                fit = cross_entropy(batch["labels"], logits)
                return fit + weight * nuclear_distance(clean_logits, logits)

            return self.climb(batch, noise, objective)

        return tf.cond(self.iteration() % 2 == 1, joined, plain)

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return nuat_weights(self._weight(iteration))

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        clean = self.forward(batch["images"])
        anchor = replace(self.anchor_pass(perturbed, batch), clean=clean)
        smoothing = self.options.label_smoothing
        terms = nuat_terms(batch["labels"], clean.logits, anchor.logits, smoothing=smoothing)
        return terms, anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        config = {name: value for name, value in super().get_config().items() if name != "clip"}
        return {**config, "beta": self.beta}

    def _weight(self, iteration: int | tf.Tensor) -> float | tf.Tensor:
        """Beta, less of it while it warms up."""
        return self.beta * warmed_share(iteration, self.warmup_steps)
