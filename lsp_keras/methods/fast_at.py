"""Fast adversarial training: cross-entropy on images of one step; N-FGSM, FGSM-RS and FGSM."""

from collections.abc import Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from lsp_keras.methods._single_step import GradientMode, SingleStepTrainer
from lsp_keras.methods._trainer import Terms
from lsp_keras.ops.warmup import warmed_share
from lsp_keras.regularizers import Anchor, Batch, Regularizer

__all__ = ["FastATTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class FastATTrainer(SingleStepTrainer):
    """Minimizes the cross-entropy of x' = x + noise + step_size * sign(gradient at x + noise).

    The defaults are N-FGSM: uniform noise of twice epsilon, a step of epsilon, and no projection,
    so that x' lies up to three epsilons from x. FGSM-RS is `noise=epsilon`,
    `step_size=1.25 * epsilon`, `clip=True`; FGSM is `noise=0`. Each costs one forward and backward
    pass more than standard training. See `SingleStepTrainer` for the attack's pass and for what
    happens when it is outwitted.

    BatchNorm's moving averages follow the images x'. Regularizers start from x'. Saved are the
    classifier, the settings of attack and regularizers, the attack's strength and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        epsilon: L-inf radius on the [0, 1] scale, a number or text such as "8/255".
        noise: Half the width of the uniform noise, on the [0, 1] scale. Default: 2 * epsilon.
        step_size: Length of the step, on the [0, 1] scale. Default: epsilon.
        clip: Whether x' is put back into the ball of radius epsilon.
        gradient_mode: Mode of the classifier in the attack's pass, `"training"` or
            `"inference"`.
        warmup_steps: Steps of training over which radius, noise and step grow from zero.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> from lsp_keras.models import resnet18
        >>> trainer = FastATTrainer(resnet18(10, width=4), epsilon="8/255")
        >>> round(trainer.noise * 255), round(trainer.step_size * 255)
        (16, 8)

    References:
        de Jorge et al., Make Some Noise: Reliable and Efficient Single-Step Adversarial Training,
        NeurIPS 2022, Algorithm 1; github.com/pdejorge/N-FGSM. Wong, Rice and Kolter, Fast Is
        Better than Free: Revisiting Adversarial Training, ICLR 2020, Algorithm 3;
        github.com/locuslab/fast_adversarial.

    Differs from the reference:
        BatchNorm's moving averages do not follow the attack's pass; in the reference they follow
        both. The warm-up is that of N-FGSM's code for SVHN, for any dataset.
    """

    smooths_labels: ClassVar[bool] = True
    noise_per_radius: ClassVar[float] = 2.0

    def __init__(
        self,
        classifier: keras.Model,
        *,
        epsilon: float | str = "8/255",
        noise: float | str | None = None,
        step_size: float | str | None = None,
        clip: bool = False,
        gradient_mode: GradientMode = "training",
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            classifier,
            epsilon=epsilon,
            noise=noise,
            step_size=step_size,
            clip=clip,
            gradient_mode=gradient_mode,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )

    def attack_size(self) -> float | tf.Tensor:
        """Grows while the attack warms up."""
        return warmed_share(self.iteration(), self.warmup_steps)

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        anchor = self.anchor_pass(perturbed, batch)
        return {"cross_entropy": self.cross_entropy(batch["labels"], anchor.logits)}, anchor
