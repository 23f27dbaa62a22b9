"""Carlini and Wagner's minimal L2 attack, with a binary search for its constant."""

import tensorflow as tf

from lsp_keras.attacks._adam import (
    adam_step,
    cost_and_gradient,
    to_images,
    to_variables,
    zero_moments,
)
from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._gradient import check_count
from lsp_keras.attacks._problem import Problem
from lsp_keras.ops import objectives
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand, norm_of
from lsp_keras.types import Norm
from lsp_keras.validation import check_positive

__all__ = ["CWL2"]

_UNKNOWN = 1e10
_GROWTH = 10.0
# Keeps the inverse of tanh finite, so that black and white pixels can move.
_INSET = 1e-6


class CWL2(Attack):
    """Minimizes squared distance plus a constant times the label's lead, for each image.

    The constant of an image grows tenfold until it breaks and is then searched for by halving.
    The lead is that of logits at a common scale, so the distances compare models whatever the
    scale of their logits.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255"; a large
            one gives minimal distances.
        norm: Norm of the ball: `"l2"`, the only one.
        initial_constant: Constant that is tried first for each image.
        num_searches: Constants tried for each image.
        num_steps: Adam steps for each constant.
        learning_rate: Learning rate of Adam.

    References:
        Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, 2017,
        Section VI.
    """

    supported_norms = ("l2",)
    shows_moves = False

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "l2",
        initial_constant: float = 0.01,
        num_searches: int = 9,
        num_steps: int = 100,
        learning_rate: float = 0.01,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        check_positive("initial_constant", initial_constant)
        self.initial_constant = initial_constant
        self.num_searches = check_count("num_searches", num_searches)
        self.num_steps = check_count("num_steps", num_steps)
        check_positive("learning_rate", learning_rate)
        self.learning_rate = learning_rate

    def run(self, problem: Problem) -> tf.Tensor:
        images, labels = problem.images, problem.labels
        scaled = problem.at_common_scale()

        def search(count, constant, low, high, best, best_distance):  # type: ignore[no-untyped-def]
            found, distance = self._descend(scaled, constant)
            broke = distance < _UNKNOWN
            closer = (distance < best_distance) | tf.math.is_nan(norm_of(found, "linf"))
            best = tf.where(expand(closer, best), found, best)
            best_distance = tf.where(closer, distance, best_distance)
            # The constant's bracket, (batch,): the smallest that broke the image, the largest that
            # did not (Section VI). It grows tenfold until one breaks, then the bracket is halved.
            high = tf.where(broke, tf.minimum(high, constant), high)
            low = tf.where(broke, low, tf.maximum(low, constant))
            middle = 0.5 * (low + high)
            constant = tf.where(high < _UNKNOWN, middle, _GROWTH * constant)
            return count + 1, constant, low, high, best, best_distance

        unknown = tf.fill(tf.shape(labels), _UNKNOWN)
        constant = tf.fill(tf.shape(labels), self.initial_constant)
        start = (tf.constant(0), constant, tf.zeros_like(constant), unknown, images, unknown)
        return in_turn(lambda count, *_: count < self.num_searches, search, start)[4]

    def _descend(self, problem: Problem, constant: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Closest misclassified images on Adam's way, and their squared distances."""
        images, labels = problem.images, problem.labels

        def cost_fn(variables: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # |x' - x|^2 + c max(Z_y - max_other Z, 0), (batch,).
            moved = to_images(variables)
            distance = tf.reduce_sum(tf.square(moved - images), axis=[1, 2, 3])
            logits = problem.logits_fn(moved)
            lead = tf.maximum(-objectives.margin(labels, logits), 0.0)
            return distance + constant * lead, distance, logits

        def step(count, variables, moments, best, best_distance):  # type: ignore[no-untyped-def]
            _, distance, logits, gradient = cost_and_gradient(cost_fn, variables)
            closer = problem.is_broken(logits) & (distance < best_distance)
            best = tf.where(expand(closer, best), to_images(variables), best)
            best_distance = tf.where(closer, distance, best_distance)
            variables, moments = adam_step(variables, gradient, moments, count, self.learning_rate)
            return count + 1, variables, moments, best, best_distance

        variables = to_variables(_INSET + (1.0 - 2.0 * _INSET) * images)
        unknown = tf.fill(tf.shape(labels), _UNKNOWN)
        start = (tf.constant(0), variables, zero_moments(variables), images, unknown)
        loop = in_turn(lambda count, *_: count < self.num_steps, step, start)
        # NaN must surface in the result, not lose to a number.
        return loop[3] + 0.0 * to_images(loop[1]), loop[4]
