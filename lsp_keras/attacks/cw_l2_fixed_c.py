"""The torchattacks form of CW: minimal L2 with a fixed constant, no search for it."""

from collections.abc import Callable

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
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand
from lsp_keras.types import Norm
from lsp_keras.validation import check_positive

__all__ = ["CWL2FixedC"]

_CHECKS = 10
_HIGH = 1e10


class CWL2FixedC(Attack):
    """Minimizes squared distance plus `constant` times the label's lead, by Adam.

    Its outcome depends on the scale of the logits, so it does not compare models: report the
    scale beside it, or use `cw_l2`.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale.
        norm: `"l2"`, the only one.
        constant: Weight of the lead; the LSP paper uses 0.01.
        num_steps: Steps.
        learning_rate: Of Adam.
        stop_together: Whether the whole batch stops once its summed cost has risen between two
            checks, as in torchattacks, so that an image's result depends on the others in its
            batch. Otherwise each image stops by its own cost.

    References:
        Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, 2017.
        torchattacks 3.5.1, `torchattacks.CW`; equal to it with `stop_together`.

    Differs from the reference:
        Not from torchattacks: like there, the lead is found by multiplying logits with the
        mask, so a negative logit counts as 0. Bits still differ: convolutions sum in another
        order, and since Adam divides a gradient by its own size, rounding moves a pixel whose
        gradient is nearly 0 by up to a whole step. torchattacks in double precision differs as
        much from itself. The original searches for the constant.
    """

    supported_norms = ("l2",)

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "l2",
        constant: float = 0.01,
        num_steps: int = 50,
        learning_rate: float = 0.01,
        stop_together: bool = False,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        check_positive("constant", constant)
        self.constant = constant
        self.num_steps = check_count("num_steps", num_steps)
        check_positive("learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.stop_together = self.couples_images = stop_together

    def run(
        self,
        logits_fn: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        *,
        seed: tf.Tensor,
        indices: tf.Tensor,
    ) -> tf.Tensor:
        """See `Attack.run`."""

        def cost_fn(variables: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            moved = to_images(variables)
            distance = tf.reduce_sum(tf.square(moved - images), axis=[1, 2, 3])
            logits = logits_fn(moved)
            lead = tf.maximum(masked_lead(labels, logits), 0.0)
            return distance + self.constant * lead, distance, logits

        def step(count, variables, moments, best, best_distance, last_cost, running):  # type: ignore[no-untyped-def]
            cost, distance, logits, gradient = cost_and_gradient(cost_fn, variables)
            broken = tf.argmax(logits, axis=1) != labels
            closer = broken & (distance < best_distance) & running
            best = tf.where(expand(closer, best), to_images(variables), best)
            best_distance = tf.where(closer, distance, best_distance)
            variables, moments = adam_step(variables, gradient, moments, count, self.learning_rate)
            total = tf.zeros_like(cost) + tf.reduce_sum(cost) if self.stop_together else cost
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


def masked_lead(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The label's logit less the largest other one, both by products with a mask."""
    is_label = tf.one_hot(labels, tf.shape(logits)[1])
    real = tf.reduce_max(is_label * logits, axis=1)
    return real - tf.reduce_max((1.0 - is_label) * logits, axis=1)
