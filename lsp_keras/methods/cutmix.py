"""CutMix: cross-entropy on images with a box of another image, with both labels."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.augmentations._cutmix import apply_cutmix, draw_cutmix
from lsp_keras.methods._mixing import MixedImages, MixingTrainer
from lsp_keras.regularizers import Batch, Regularizer
from lsp_keras.validation import InputError, check_positive

__all__ = ["CutMixTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class CutMixTrainer(MixingTrainer):
    """Trains on images in which one box shows another image of the batch.

    All images of a batch have the same box. The labels' shares are those of the pixels after
    the box was cut off at the image's edges. BatchNorm's moving averages follow the mixed
    images. Regularizers start from the clean images and metrics from the mixed ones, as
    `MixingTrainer` says. Saved are the classifier, `alpha`, `probability`, the regularizers'
    settings and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        alpha: Parameter of the distribution Beta(alpha, alpha) that the share outside the whole box
            is drawn from.
        probability: Probability that a batch is mixed, in [0, 1]; others are trained on as they
            are.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Raises:
        InputError: `alpha` is not positive, or `probability` is not in [0, 1].

    References:
        Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features, ICCV 2019, Eq. 1 and 2; github.com/clovaai/CutMix-PyTorch, whose setting for
        CIFAR is a probability of 0.5.
    """

    def __init__(
        self,
        classifier: keras.Model,
        *,
        alpha: float = 1.0,
        probability: float = 0.5,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)
        check_positive("alpha", alpha)
        if not 0 <= probability <= 1:
            raise InputError(
                f"`probability` must be in [0, 1]. Received: probability={probability}."
            )
        self.alpha = alpha
        self.probability = probability

    def mix(self, batch: Batch) -> MixedImages:
        draws = draw_cutmix(
            batch["images"],
            seed=self.step_seed(),
            indices=batch["indices"],
            alpha=self.alpha,
            probability=self.probability,
        )
        images = apply_cutmix(batch["images"], draws)
        return MixedImages(images, tf.gather(batch["labels"], draws.partners), draws.coefficient)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {**super().get_config(), "alpha": self.alpha, "probability": self.probability}
