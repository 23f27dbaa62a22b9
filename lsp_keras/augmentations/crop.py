"""Random crop: the image is shifted by some pixels, and what comes in is black."""

from typing import NamedTuple

import tensorflow as tf

from lsp_keras.augmentations._base import Augmentation
from lsp_keras.ops import random
from lsp_keras.validation import check_positive

__all__ = ["Crop"]

_DEFAULT_SHARE = 8


class CropDraws(NamedTuple):
    """Where each crop starts in its padded image, and whether it is mirrored.

    Attributes:
        top: First row of each crop, int32 `(batch,)` in [0, 2 * padding].
        left: First column of each crop, int32 `(batch,)` in [0, 2 * padding].
        flip: Whether each image is mirrored, bool `(batch,)`.
    """

    top: tf.Tensor
    left: tf.Tensor
    flip: tf.Tensor


class Crop(Augmentation):
    """Pads with black and cuts the original size out at a random place.

    Args:
        padding: Pixels added on each side. The default is an eighth of the side, which gives what
            the field uses: 4 for CIFAR's 32 pixels and 12 for STL-10's 96.

    Example:
        >>> crop = Crop(padding=1)
        >>> images = tf.ones([2, 4, 4, 3])
        >>> crop(images, seed=0, indices=tf.range(2)).shape
        TensorShape([2, 4, 4, 3])

    References:
        Padding 4 on CIFAR: He et al., Deep Residual Learning, CVPR 2016, section 4.2.
        Padding 12 on STL-10: DeVries and Taylor, Cutout, arXiv 1708.04552, section 4.1.
    """

    flips = False
    moves_pixels = True

    def __init__(self, padding: int | None = None) -> None:
        if padding is not None:
            check_positive("padding", padding, allow_zero=True)
        self.padding = padding

    def draw(
        self,
        images: tf.Tensor,
        *,
        seed: int,
        indices: tf.Tensor,
        counter: int | tf.Tensor = 0,
    ) -> CropDraws:
        places = 2 * self._padding(images) + 1
        values = random.uniform(seed, indices, (3,), counter=counter)
        starts = tf.cast(values[:, :2] * tf.cast(places, tf.float32), tf.int32)
        flip = values[:, 2] < (0.5 if self.flips else 0.0)
        return CropDraws(starts[:, 0], starts[:, 1], flip)

    def apply(self, images: tf.Tensor, draws: CropDraws) -> tf.Tensor:
        height, width = images.shape[1:3]
        padding = self._padding(images)
        around = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
        columns = tf.range(width)
        columns = tf.where(draws.flip[:, tf.newaxis], width - 1 - columns, columns)
        cropped = tf.gather(
            tf.pad(images, around),
            draws.top[:, tf.newaxis] + tf.range(height),
            axis=1,
            batch_dims=1,
        )
        return tf.gather(cropped, draws.left[:, tf.newaxis] + columns, axis=2, batch_dims=1)

    def _padding(self, images: tf.Tensor) -> int:
        return images.shape[1] // _DEFAULT_SHARE if self.padding is None else self.padding
