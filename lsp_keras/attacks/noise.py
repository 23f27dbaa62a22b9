"""Uniform noise: what chance alone breaks, the yardstick of every attack."""

import tensorflow as tf

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._geometry import GEOMETRIES
from lsp_keras.attacks._gradient import check_count
from lsp_keras.attacks._problem import Problem
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand
from lsp_keras.ops.projections import project
from lsp_keras.types import Norm

__all__ = ["Noise"]


class Noise(Attack):
    """The worst of several random points on the surface of the ball.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"` or `"l2"`.
        num_draws: Points tried for each image.
    """

    uses_gradients = False
    makes_queries = True
    is_iterative = False

    def __init__(self, *, epsilon: float | str, norm: Norm = "linf", num_draws: int = 10) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_draws = check_count("num_draws", num_draws)

    def run(self, problem: Problem) -> tf.Tensor:
        geometry, images = GEOMETRIES[self.norm], problem.images

        def draw(
            count: tf.Tensor, worst: tf.Tensor, worst_margin: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            direction = geometry.draw_direction(
                images, seed=problem.seed, indices=problem.indices, counter=count
            )
            noisy = project(images + self.epsilon * direction, images, self.epsilon, self.norm)
            margin = problem.margin(noisy)
            worse = tf.logical_not(margin <= worst_margin)
            return (
                count + 1,
                tf.where(expand(worse, images), noisy, worst),
                tf.where(worse, margin, worst_margin),
            )

        lowest = tf.fill(tf.shape(problem.labels), tf.float32.min)
        loop = (tf.constant(0), images, lowest)
        return in_turn(lambda count, *_: count < self.num_draws, draw, loop)[1]
