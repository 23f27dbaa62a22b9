"""What an augmentation is: drawing values and applying them are two functions."""

import abc
from typing import Any

import tensorflow as tf


class Augmentation(abc.ABC):
    """Changes each image of a batch by draws that depend on its index, not on its place.

    Subclasses write `draw` and `apply`, so that a test can fix the draw.

    Attributes:
        moves_pixels: Whether pixels are moved or blackened only, so that images of uint8 become
            what those of floats would.
    """

    moves_pixels: bool = False

    @abc.abstractmethod
    def draw(
        self,
        images: tf.Tensor,
        *,
        seed: int,
        indices: tf.Tensor,
        counter: int | tf.Tensor = 0,
    ) -> Any:
        """Random values for each image; only the shape of the images matters.

        Args:
            images: Images, float32 `(batch, height, width, channels)`.
            seed: Seed of the random draws, an integer.
            indices: Numbers that identify each image, int64 `(batch,)`.
            counter: Number that tells draws for one image apart: the epoch; or `(batch,)`, one for
                each image.
        """

    @abc.abstractmethod
    def apply(self, images: tf.Tensor, draws: Any) -> tf.Tensor:
        """The images, changed as drawn; same shape and dtype."""

    def __call__(
        self,
        images: tf.Tensor,
        *,
        seed: int,
        indices: tf.Tensor,
        counter: int | tf.Tensor = 0,
    ) -> tf.Tensor:
        """Draws and applies; arguments as in `draw`."""
        draws = self.draw(images, seed=seed, indices=indices, counter=counter)
        return self.apply(images, draws)
