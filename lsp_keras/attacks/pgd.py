"""Projected gradient descent with random starts and restarts."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.utils import clip_eta

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._gradient import (
    CLEVERHANS_ORDERS,
    STARTS,
    check_count,
    check_step_size,
    default_step_size,
)
from lsp_keras.attacks._problem import Problem
from lsp_keras.choices import ObjectiveName, StartName
from lsp_keras.ops import objectives
from lsp_keras.ops.gradients import with_unit_gradient
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand
from lsp_keras.types import Norm
from lsp_keras.validation import InputError, check_choice

__all__ = ["PGD"]


class PGD(Attack):
    """Climbs the objective by projected steps and keeps each image's best restart.

    Each step is CleverHans's `fast_gradient_method`; the loop around it is a `tf.while_loop`,
    since CleverHans's Python loop unrolls under `tf.function`.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"` or `"l2"`.
        step_size: Length of a step, default `2.5 * epsilon / num_steps` and at most `epsilon`.
        num_steps: Steps of each restart.
        num_restarts: Number of starts; more than one needs `random_start`.
        random_start: Whether to start from a random point rather than the clean image.
        objective: Objective to climb: a name in `lsp_keras.ops.objectives.OBJECTIVES`, a function
            `(labels, logits) -> (batch,)`, or `"kl"`, the divergence from the prediction for the
            clean image, which ignores the labels and needs a random start.
        start: Kind of random start: `"uniform"` in the ball, or `"gaussian"`, the image with noise
            of standard deviation 0.001 (TRADES, MART, HAT).

    Raises:
        InputError: A value is out of its range, or two contradict each other.

    Example:
        >>> PGD(epsilon=8 / 255, step_size=2 / 255, num_steps=10).norm
        'linf'

    References:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018.
        Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy, 2019,
        Algorithm 1: `objective="kl", start="gaussian"`.
        CleverHans 4.0, `cleverhans.tf2.attacks.projected_gradient_descent`; equal to it where
        there is no random start.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        step_size: float | str | None = None,
        num_steps: int = 10,
        num_restarts: int = 1,
        random_start: bool = True,
        objective: ObjectiveName
        | Literal["kl", "softmax_kl"]
        | objectives.Objective = "cross_entropy",
        start: StartName = "uniform",
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        self.num_restarts = check_count("num_restarts", num_restarts)
        if step_size is None:
            step_size = default_step_size(self.epsilon, num_steps)
        self.step_size = check_step_size(step_size, self.epsilon)
        self.random_start = random_start
        self.start = check_choice("start", start, STARTS)
        self.objective = objective
        compares = objectives.is_comparison(objective)
        if not random_start:
            self._check_clean_start(compares)

    def run(self, problem: Problem) -> tf.Tensor:
        objective = objectives.bind(self.objective, lambda: problem.clean_logits)

        def restart(counter: int | tf.Tensor) -> tf.Tensor:
            return self._climb(problem, objective, self._starting_point(problem, counter))

        if self.num_restarts == 1:
            return restart(0)

        def keep_best(
            counter: tf.Tensor, best: tf.Tensor, best_margin: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            found = restart(counter)
            margin = problem.margin(found)
            # Not a plain "greater": NaN must surface in the result, not lose to a number.
            better = tf.logical_not(margin <= best_margin)
            best = tf.where(expand(better, best), found, best)
            return counter + 1, best, tf.where(better, margin, best_margin)

        lowest = tf.fill(tf.shape(problem.labels), tf.float32.min)
        loop = in_turn(
            lambda counter, *_: counter < self.num_restarts,
            keep_best,
            (tf.constant(0), problem.images, lowest),
        )
        return loop[1]

    def starts(self, problem: Problem) -> Sequence[tf.Tensor]:
        return [self._starting_point(problem, counter) for counter in range(self.num_restarts)]

    def _check_clean_start(self, compares: bool) -> None:
        if self.num_restarts > 1:
            raise InputError("`num_restarts` above 1 repeats the same run without `random_start`.")
        if self.start != "uniform":
            raise InputError(f"`start` {self.start!r} is a random one: it needs `random_start`.")
        if compares:
            raise InputError(
                f"`objective` {self.objective!r} is flat at the clean image, which it compares "
                "with: it needs `random_start`."
            )

    def _starting_point(self, problem: Problem, counter: int | tf.Tensor) -> tf.Tensor:
        if not self.random_start:
            return problem.images
        return STARTS[self.start](problem, self.epsilon, self.norm, counter)

    def _climb(
        self, problem: Problem, objective: objectives.Objective, start: tf.Tensor
    ) -> tf.Tensor:
        images, order = problem.images, CLEVERHANS_ORDERS[self.norm]
        watched = with_unit_gradient(problem.logits_fn)

        def step(count: tf.Tensor, adversarial: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            moved = fast_gradient_method(
                watched,
                adversarial,
                self.step_size,
                order,
                loss_fn=objective,
                clip_min=0.0,
                clip_max=1.0,
                y=problem.labels,
            )
            moved = images + clip_eta(moved - images, order, self.epsilon)
            return count + 1, tf.clip_by_value(moved, 0.0, 1.0)

        return in_turn(lambda count, _: count < self.num_steps, step, (tf.constant(0), start))[1]
