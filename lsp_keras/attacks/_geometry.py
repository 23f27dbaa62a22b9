"""What changes between norms for the attacks that take their step from a gradient."""

import abc
from collections.abc import Mapping

import tensorflow as tf

from lsp_keras.ops import random
from lsp_keras.ops.norms import expand, l1_norm, l2_norm, linf_norm
from lsp_keras.types import Norm

_SMALLEST_LENGTH = 1e-12


class Geometry(abc.ABC):
    """Directions, dual norm and shortest moves of one norm."""

    @abc.abstractmethod
    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """A random perturbation of norm 1 for each image, shaped like the images."""

    @abc.abstractmethod
    def steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        """The perturbation of norm 1 that ascends most along the gradient."""

    @abc.abstractmethod
    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """How much the steepest perturbation gains, `(batch,)`."""

    @abc.abstractmethod
    def rates(self, normal: tf.Tensor) -> tf.Tensor:
        """Relative size of each entry in the shortest move along a plane's normal."""


class LinfGeometry(Geometry):
    """All entries move by the same amount."""

    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """Uniform in the cube, stretched onto its surface."""
        shape = tuple(images.shape[1:])
        draws = random.uniform(seed, indices, shape, counter=counter, low=-1.0, high=1.0)
        return draws / expand(linf_norm(draws), draws)

    def steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        """Sign of the gradient."""
        return tf.sign(gradient)

    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """L1 norm."""
        return l1_norm(gradient)

    def rates(self, normal: tf.Tensor) -> tf.Tensor:
        """1 wherever the normal is not zero."""
        return tf.abs(tf.sign(normal))


class L2Geometry(Geometry):
    """Entries move in proportion to the gradient."""

    def draw_direction(
        self, images: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor, counter: tf.Tensor
    ) -> tf.Tensor:
        """Uniform on the sphere."""
        draws = random.normal(seed, indices, tuple(images.shape[1:]), counter=counter)
        return draws / expand(l2_norm(draws), draws)

    def steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient at length 1."""
        return gradient / (expand(l2_norm(gradient), gradient) + _SMALLEST_LENGTH)

    def dual_norm(self, gradient: tf.Tensor) -> tf.Tensor:
        """L2 norm."""
        return l2_norm(gradient)

    def rates(self, normal: tf.Tensor) -> tf.Tensor:
        """Size of the normal."""
        return tf.abs(normal)


GEOMETRIES: Mapping[Norm, Geometry] = {"linf": LinfGeometry(), "l2": L2Geometry()}
