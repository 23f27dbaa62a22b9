"""CutMix: one box of each image is replaced by the same box of another image of the batch.

Labels are mixed too and an image's change depends on its batch, so this is a part of the
training method `cutmix` and not an augmentation that a pipeline could apply.
"""

from typing import NamedTuple

import tensorflow as tf

from lsp_keras.ops import random

# Counters that keep the draws for one batch apart.
_PARTNERS, _SHARE, _PLACE = range(3)


class CutMixDraws(NamedTuple):
    """How one batch is mixed.

    Attributes:
        partners: Place in the batch of the image that fills the box, int32 `(batch,)`.
        coefficient: Share of the pixels that stay, a float32 scalar in [0, 1].
        box: Box that is filled, int32 `(4,)`: first row, first column, and the row and column after
            the last ones; empty where the batch is left alone.
    """

    partners: tf.Tensor
    coefficient: tf.Tensor
    box: tf.Tensor


def draw_cutmix(
    images: tf.Tensor,
    *,
    seed: int | tf.Tensor,
    indices: tf.Tensor,
    alpha: float,
    probability: float,
) -> CutMixDraws:
    """Random values for one batch.

    Args:
        images: Images, float32 `(batch, height, width, channels)`; only their shape matters.
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        alpha: The share of pixels that stay is drawn from Beta(alpha, alpha).
        probability: Probability that the batch is mixed at all, in [0, 1].
    """
    kept = random.symmetric_beta(seed, [0], (), concentration=alpha, counter=_SHARE)[0]
    chosen, *center = tf.unstack(random.uniform(seed, [0], (3,), counter=_PLACE)[0])
    size = images.shape[1:3]
    box = clipped_box(size, tf.where(chosen < probability, kept, 1.0), tf.stack(center))
    partners = random.permutation(seed, indices, counter=_PARTNERS)
    return CutMixDraws(partners, remaining_share(size, box), box)


def clipped_box(size: tuple[int, int], kept: tf.Tensor, center: tf.Tensor) -> tf.Tensor:
    """A box of the image's proportions, cut off where it leaves the image.

    Args:
        size: Height and width in pixels.
        kept: Share of the image that the whole box leaves over, a float32 scalar.
        center: Center of the box as shares of the height and the width, float32 `(2,)` in [0, 1).

    Returns:
        int32 `(4,)`, as in `CutMixDraws`. As in the reference, half a side is rounded down, so
        that sides are even where they are not cut off.
    """
    sides = tf.cast(size, tf.float32)
    half = tf.cast(sides * tf.sqrt(1.0 - kept), tf.int32) // 2
    middle = tf.cast(sides * center, tf.int32)
    return tf.concat([tf.maximum(middle - half, 0), tf.minimum(middle + half, size)], axis=0)


def remaining_share(size: tuple[int, int], box: tf.Tensor) -> tf.Tensor:
    """Share of an image's pixels that lie outside the box, float32 scalar."""
    area = tf.reduce_prod(box[2:] - box[:2])
    return 1.0 - tf.cast(area, tf.float32) / (size[0] * size[1])


def apply_cutmix(images: tf.Tensor, draws: CutMixDraws) -> tf.Tensor:
    """The images with their boxes replaced as drawn; same shape and dtype.

    Args:
        images: Images, float32 `(batch, height, width, channels)`.
        draws: Random draws, as `draw_cutmix` returns them.
    """
    top, left, bottom, right = tf.unstack(draws.box)
    rows, columns = tf.range(images.shape[1]), tf.range(images.shape[2])
    in_rows = (rows >= top) & (rows < bottom)
    in_columns = (columns >= left) & (columns < right)
    inside = in_rows[:, tf.newaxis] & in_columns
    return tf.where(inside[..., tf.newaxis], tf.gather(images, draws.partners), images)
