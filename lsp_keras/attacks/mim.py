"""Momentum iterative method."""

import tensorflow as tf
from cleverhans.tf2.utils import clip_eta, compute_gradient, optimize_linear

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._gradient import CLEVERHANS_ORDERS, check_count, check_step_size
from lsp_keras.attacks._problem import Problem
from lsp_keras.choices import ObjectiveName
from lsp_keras.ops import objectives
from lsp_keras.ops.gradients import with_unit_gradient
from lsp_keras.ops.loops import in_turn
from lsp_keras.types import Norm
from lsp_keras.validation import check_positive

__all__ = ["MIM"]

_SMALLEST_MEAN = 1e-12


class MIM(Attack):
    """Steps along a decaying sum of normalized gradients.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"` or `"l2"`.
        step_size: Length of a step, default `epsilon / num_steps` as in the paper.
        num_steps: Number of steps.
        decay: Share of the summed gradients that each step keeps.
        objective: Objective to climb: a name in `lsp_keras.ops.objectives.OBJECTIVES`, or a
            function `(labels, logits) -> (batch,)`.

    References:
        Dong et al., Boosting Adversarial Attacks with Momentum, 2018, Algorithm 1.
        CleverHans 4.0, `cleverhans.tf2.attacks.momentum_iterative_method`.

    Differs from the reference:
        Not in the result. CleverHans's loop is a `tf.while_loop` here, around its own steps.
        As in CleverHans, gradients are divided by their mean rather than their sum.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        step_size: float | str | None = None,
        num_steps: int = 10,
        decay: float = 1.0,
        objective: ObjectiveName | objectives.Objective = "cross_entropy",
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        if step_size is None:
            step_size = self.epsilon / num_steps
        self.step_size = check_step_size(step_size, self.epsilon)
        check_positive("decay", decay, allow_zero=True)
        self.decay = decay
        objectives.get(objective)
        self.objective = objective

    def run(self, problem: Problem) -> tf.Tensor:
        images, order = problem.images, CLEVERHANS_ORDERS[self.norm]
        objective = objectives.get(self.objective)
        watched = with_unit_gradient(problem.logits_fn)

        def step(
            count: tf.Tensor, adversarial: tf.Tensor, momentum: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            gradient = compute_gradient(watched, objective, adversarial, problem.labels, False)
            mean = tf.reduce_mean(tf.abs(gradient), axis=[1, 2, 3], keepdims=True)
            momentum = self.decay * momentum + gradient / tf.maximum(_SMALLEST_MEAN, mean)
            moved = adversarial + optimize_linear(momentum, self.step_size, order)
            moved = images + clip_eta(moved - images, order, self.epsilon)
            return count + 1, tf.clip_by_value(moved, 0.0, 1.0), momentum

        return in_turn(
            lambda count, *_: count < self.num_steps,
            step,
            (tf.constant(0), images, tf.zeros_like(images)),
        )[1]
