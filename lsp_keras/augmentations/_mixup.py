"""Mixup: each image of a batch is blended with another one, all with one coefficient.

Labels are blended too and an image's change depends on its batch, so this is a part of the
training method `mixup` and not an augmentation that a pipeline could apply.
"""

from typing import NamedTuple

import tensorflow as tf

from lsp_keras.ops import random

# Counters that keep the draws for one batch apart.
_PARTNERS, _COEFFICIENT = range(2)


class MixupDraws(NamedTuple):
    """How one batch is blended.

    Attributes:
        partners: Place in the batch of the image that is blended in, int32 `(batch,)`.
        coefficient: Share of the image itself, a float32 scalar in [0, 1].
    """

    partners: tf.Tensor
    coefficient: tf.Tensor


def draw_mixup(*, seed: int | tf.Tensor, indices: tf.Tensor, alpha: float) -> MixupDraws:
    """Random values for one batch.

    Args:
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        alpha: The coefficient is drawn from Beta(alpha, alpha).
    """
    coefficient = random.symmetric_beta(seed, [0], (), concentration=alpha, counter=_COEFFICIENT)
    return MixupDraws(random.permutation(seed, indices, counter=_PARTNERS), coefficient[0])


def apply_mixup(images: tf.Tensor, draws: MixupDraws) -> tf.Tensor:
    """The images, blended as drawn; same shape and dtype.

    Args:
        images: Images, float32 `(batch, height, width, channels)`.
        draws: Random draws, as `draw_mixup` returns them.
    """
    partners = tf.gather(images, draws.partners)
    return draws.coefficient * images + (1.0 - draws.coefficient) * partners
