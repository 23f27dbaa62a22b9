"""The torchattacks form of CW: minimal L2 with a fixed constant, no search for it."""

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
from lsp_keras.ops.norms import expand
from lsp_keras.types import Norm
from lsp_keras.validation import check_positive

__all__ = ["CWL2FixedC"]

_CHECKS = 10
_HIGH = 1e10


class CWL2FixedC(Attack):
    """Minimizes squared distance plus `constant` times the label's lead, by Adam.

    Its outcome is decided by the constant: report it, or use `cw_l2`. In torchattacks it depends
    on the scale of the logits too, and on a constant added to them; here the lead is that of
    logits at a common scale (the largest 12 above the third) unless `like_torchattacks` is set.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"l2"`, the only one.
        constant: Weight of the lead; the LSP paper uses 0.01.
        num_steps: Number of steps.
        learning_rate: Learning rate of Adam.
        like_torchattacks: Whether to do as torchattacks does where it overstates robustness:
            the logits keep their scale, a negative one counts as 0, and the whole batch stops
            once its summed cost has risen between two checks, so that an image's result depends
            on the others in its batch.

    References:
        Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, 2017.
        torchattacks 3.5.1, `torchattacks.CW`; equal to it with `like_torchattacks`.

    Differs from the reference:
        The original searches for the constant. With `like_torchattacks` bits still differ from
        torchattacks: convolutions sum in another order, and since Adam divides a gradient by its
        own size, rounding moves a pixel whose gradient is nearly 0 by up to a whole step.
        torchattacks in double precision differs as much from itself.
    """

    supported_norms = ("l2",)
    shows_moves = False

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "l2",
        constant: float = 0.01,
        num_steps: int = 50,
        learning_rate: float = 0.01,
        like_torchattacks: bool = False,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        check_positive("constant", constant)
        self.constant = constant
        self.num_steps = check_count("num_steps", num_steps)
        check_positive("learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.like_torchattacks = self.couples_images = like_torchattacks

    def run(self, problem: Problem) -> tf.Tensor:
        images, labels = problem.images, problem.labels
        if not self.like_torchattacks:
            problem = problem.at_common_scale()

        def cost_fn(variables: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            moved = to_images(variables)
            distance = tf.reduce_sum(tf.square(moved - images), axis=[1, 2, 3])
            logits = problem.logits_fn(moved)
            lead = tf.maximum(self._lead(labels, logits), 0.0)
            return distance + self.constant * lead, distance, logits

        def step(count, variables, moments, best, best_distance, last_cost, running):  # type: ignore[no-untyped-def]
            cost, distance, logits, gradient = cost_and_gradient(cost_fn, variables)
            broken = problem.is_broken(logits)
            closer = broken & (distance < best_distance) & running
            best = tf.where(expand(closer, best), to_images(variables), best)
            best_distance = tf.where(closer, distance, best_distance)
            variables, moments = adam_step(variables, gradient, moments, count, self.learning_rate)
            total = tf.zeros_like(cost) + tf.reduce_sum(cost) if self.like_torchattacks else cost
            is_check = count % max(self.num_steps // _CHECKS, 1) == 0
            running &= tf.logical_not(is_check & (total > last_cost))
            last_cost = tf.where(is_check, total, last_cost)
            return count + 1, variables, moments, best, best_distance, last_cost, running

        variables = to_variables(images)
        high = tf.fill(tf.shape(labels), _HIGH)
        running = tf.ones_like(labels, tf.bool)
        start = (tf.constant(0), variables, zero_moments(variables), images, high, high, running)
        loop = in_turn(
            lambda count, *state: (count < self.num_steps) & tf.reduce_any(state[-1]), step, start
        )
        # NaN must surface in the result, not lose to a number.
        return loop[3] + 0.0 * to_images(loop[1])

    def _lead(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        if self.like_torchattacks:
            return masked_lead(labels, logits)
        return -objectives.margin(labels, logits)


def masked_lead(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The label's logit less the largest other one, both by products with a mask."""
    is_label = tf.one_hot(labels, tf.shape(logits)[1])
    real = tf.reduce_max(is_label * logits, axis=1)
    return real - tf.reduce_max((1.0 - is_label) * logits, axis=1)
