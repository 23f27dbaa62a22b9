"""Mixup: cross-entropy on blends of two images with both labels."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.augmentations._mixup import apply_mixup, draw_mixup
from lsp_keras.methods._mixing import MixedImages, MixingTrainer
from lsp_keras.regularizers import Batch, Regularizer
from lsp_keras.validation import check_positive

__all__ = ["MixupTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class MixupTrainer(MixingTrainer):
    """Trains on each image of a batch blended with another one of the batch.

    BatchNorm's moving averages follow the blended images. Regularizers start from the clean
    images and metrics from the blended ones, as `MixingTrainer` says. Saved are the classifier,
    `alpha`, the regularizers' settings and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        alpha: Parameter of the distribution Beta(alpha, alpha) that the share of the image itself
            is drawn from, once for a batch.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Raises:
        InputError: `alpha` is not positive.

    References:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, Eq. 2;
        github.com/facebookresearch/mixup-cifar10, which draws one coefficient for a batch and
        uses alpha 1 on CIFAR-10.
    """

    def __init__(
        self,
        classifier: keras.Model,
        *,
        alpha: float = 1.0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)
        check_positive("alpha", alpha)
        self.alpha = alpha

    def mix(self, batch: Batch) -> MixedImages:
        draws = draw_mixup(seed=self.step_seed(), indices=batch["indices"], alpha=self.alpha)
        images = apply_mixup(batch["images"], draws)
        return MixedImages(images, tf.gather(batch["labels"], draws.partners), draws.coefficient)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {**super().get_config(), "alpha": self.alpha}
