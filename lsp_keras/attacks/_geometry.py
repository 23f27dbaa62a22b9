"""What changes between norms for the attacks that take their step from a gradient."""

import abc
from collections.abc import Mapping

import tensorflow as tf

from lsp_keras.ops import random
from lsp_keras.ops.fills import fill_by_weight, fill_proportionally
from lsp_keras.ops.norms import expand, l1_norm, l2_norm, linf_norm
from lsp_keras.types import Norm


class Geometry(abc.ABC):
    """Directions, dual norm and shortest moves of one norm."""

    @abc.abstractmethod
    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """A random perturbation of norm 1 for each image, shaped like the images."""

    @abc.abstractmethod
    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """How much the steepest perturbation gains, `(batch,)`."""

    @abc.abstractmethod
    def shortest_move(self, weights: tf.Tensor, room: tf.Tensor, needed: tf.Tensor) -> tf.Tensor:
        """Sizes of the entries of the shortest move that gains so much.

        Args:
            weights: What each entry gains by its size, 0 or more, `(batch, ...)`.
            room: Largest size of each entry, likewise.
            needed: What all entries must gain together, `(batch,)`.

        Returns:
            Likewise; the whole room where even that gains too little. Entries without a weight
            may have any size.
        """


class LinfGeometry(Geometry):
    """All entries move by the same amount."""

    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """Uniform in the cube, stretched onto its surface."""
        shape = tuple(images.shape[1:])
        draws = random.uniform(seed, indices, shape, counter=counter, low=-1.0, high=1.0)
        # Onto the surface: the largest entry becomes 1 or -1.
        return draws / expand(linf_norm(draws), draws)

    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """L1 norm."""
        return l1_norm(gradient)

    def shortest_move(self, weights: tf.Tensor, room: tf.Tensor, needed: tf.Tensor) -> tf.Tensor:
        """All the same size, up to the room."""
        # Size s for each entry with a weight: the smallest s with sum(w min(s, room)) = needed.
        return fill_proportionally(weights, tf.sign(weights), room, needed)


class L2Geometry(Geometry):
    """Entries move in proportion to the gradient."""

    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """Uniform on the sphere."""
        draws = random.normal(seed, indices, tuple(images.shape[1:]), counter=counter)
        return draws / expand(l2_norm(draws), draws)

    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """L2 norm."""
        return l2_norm(gradient)

    def shortest_move(self, weights: tf.Tensor, room: tf.Tensor, needed: tf.Tensor) -> tf.Tensor:
        """In proportion to the weights, up to the room."""
        # Sizes c w, capped: the smallest c with sum(w min(c w, room)) = needed.
        return fill_proportionally(weights, weights, room, needed)


class L1Geometry(Geometry):
    """The entries with the largest gradient move first."""

    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """Normal draws at an L1 norm of 1."""
        draws = random.normal(seed, indices, tuple(images.shape[1:]), counter=counter)
        return draws / expand(l1_norm(draws), draws)

    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """Largest entry."""
        return linf_norm(gradient)

    def shortest_move(self, weights: tf.Tensor, room: tf.Tensor, needed: tf.Tensor) -> tf.Tensor:
        """The whole room of the largest weights, then a part of the next one's."""
        return fill_by_weight(weights, room, needed)


GEOMETRIES: Mapping[Norm, Geometry] = {
    "linf": LinfGeometry(),
    "l2": L2Geometry(),
    "l1": L1Geometry(),
}


def move_to_plane(
    images: tf.Tensor, normal: tf.Tensor, gap: tf.Tensor, geometry: Geometry
) -> tf.Tensor:
    """Shortest move from each image to its plane that does not leave the pixel box.

    Args:
        images: Images, `(batch, height, width, channels)` in [0, 1].
        normal: Normal vector of each image's plane, of the images' shape.
        gap: What `sum(normal * move)` must be, `(batch,)`.
        geometry: Geometry of the norm in which the move is shortest.

    Returns:
        The move, shaped like the images. Where the box holds no point of the plane, it goes as
        far as the box allows.
    """
    direction = tf.sign(normal) * expand(tf.sign(gap), normal)
    # How far each pixel can go to its side of the box, as the images.
    room = tf.where(direction > 0.0, 1.0 - images, images)
    return direction * geometry.shortest_move(tf.abs(normal), room, tf.abs(gap))
