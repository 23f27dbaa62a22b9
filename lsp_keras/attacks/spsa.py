"""SPSA: gradient ascent with gradients estimated from the model's answers."""

import tensorflow as tf

from lsp_keras.attacks._adam import Moments, adam_step, zero_moments
from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._gradient import check_count
from lsp_keras.attacks._problem import Problem
from lsp_keras.ops import random
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.projections import project
from lsp_keras.types import Norm
from lsp_keras.validation import check_positive, parse_fraction

__all__ = ["SPSA"]


class SPSA(Attack):
    """Adam on the margin, its gradient estimated by pairs of random sign perturbations.

    Needs the model's answers only: it works where gradients vanish or mislead.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, the only one.
        num_steps: Number of steps.
        num_samples: Pairs of perturbations for each gradient.
        delta: Size of the perturbations on the [0, 1] scale.
        learning_rate: Learning rate of Adam.

    References:
        Uesato et al., Adversarial Risk and the Dangers of Evaluating Against Weak Attacks,
        2018, Algorithm 1.

    Differs from the reference:
        Perturbed images are clipped to the pixel box before the model sees them. The margin is
        that of logits at a common scale, so that Adam's constant weighs the same in each model.
    """

    supported_norms = ("linf",)
    uses_gradients = False
    makes_queries = True

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_steps: int = 100,
        num_samples: int = 64,
        delta: float | str = 0.01,
        learning_rate: float = 0.01,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        self.num_samples = check_count("num_samples", num_samples)
        self.delta = parse_fraction(delta)
        check_positive("delta", self.delta)
        check_positive("learning_rate", learning_rate)
        self.learning_rate = learning_rate

    def run(self, problem: Problem) -> tf.Tensor:
        images, scaled = problem.images, problem.at_common_scale()

        def step(
            count: tf.Tensor, current: tf.Tensor, moments: Moments
        ) -> tuple[tf.Tensor, tf.Tensor, Moments]:
            gradient = self._estimate(scaled, current, count)
            moved, moments = adam_step(current, -gradient, moments, count, self.learning_rate)
            return count + 1, project(moved, images, self.epsilon, self.norm), moments

        loop = (tf.constant(0), images, zero_moments(images))
        return in_turn(lambda count, *_: count < self.num_steps, step, loop)[1]

    def _estimate(self, problem: Problem, current: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Mean over pairs of (rise of the margin across the pair) times its direction."""
        seed, indices, shape = problem.seed, problem.indices, problem.image_shape

        def pair(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            counter = tf.cast(count * self.num_samples + number, tf.int64)
            signs = random.signs(seed, indices, shape, counter=counter)
            ahead, behind = (
                # A served model refuses what is no image.
                problem.margin(tf.clip_by_value(probe, 0.0, 1.0))
                for probe in (current + self.delta * signs, current - self.delta * signs)
            )
            slope = (ahead - behind) / (2.0 * self.delta)
            return number + 1, total + slope[:, None, None, None] * signs

        loop = (tf.constant(0), tf.zeros_like(current))
        total = in_turn(lambda number, _: number < self.num_samples, pair, loop)[1]
        return total / self.num_samples
