"""Images become darker by random factors."""

import tensorflow as tf

from lsp_keras.augmentations import Augmentation
from lsp_keras.ops import random

__all__ = ["Dim"]


class Dim(Augmentation):
    """Multiplies each image by a random factor.

    Args:
        darkest: Smallest factor, in [0, 1).
    """

    def __init__(self, *, darkest: float = 0.5) -> None:
        self.darkest = darkest

    def draw(
        self,
        images: tf.Tensor,
        *,
        seed: int,
        indices: tf.Tensor,
        counter: int | tf.Tensor = 0,
    ) -> tf.Tensor:
        shares = random.uniform(seed, indices, (1, 1, 1), counter=counter)
        return self.darkest + (1.0 - self.darkest) * shares

    def apply(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        return images * draws
