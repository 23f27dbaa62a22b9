"""Projected gradient descent with random starts and restarts."""

from collections.abc import Callable

import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.utils import clip_eta

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._gradient import (
    CLEVERHANS_ORDERS,
    check_count,
    check_step_size,
    default_step_size,
    random_start,
)
from lsp_keras.ops import objectives
from lsp_keras.ops.norms import expand
from lsp_keras.types import Norm
from lsp_keras.validation import InputError

__all__ = ["PGD"]


class PGD(Attack):
    """Climbs the objective by projected steps and keeps each image's best restart.

    Each step is CleverHans's `fast_gradient_method`; the loop around it is a `tf.while_loop`,
    since CleverHans's Python loop unrolls under `tf.function`.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: `"linf"` or `"l2"`.
        step_size: Length of a step, default `2.5 * epsilon / num_steps` and at most `epsilon`.
        num_steps: Steps of each restart.
        num_restarts: Starts; more than one needs `random_start`.
        random_start: Whether to start from a uniformly random point of the ball.
        objective: What to climb: a name in `lsp_keras.ops.objectives.OBJECTIVES` or a function
            `(labels, logits) -> (batch,)`.

    Example:
        >>> PGD(epsilon=8 / 255, step_size=2 / 255, num_steps=10).norm
        'linf'

    References:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018.
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
        objective: str | objectives.Objective = "cross_entropy",
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        self.num_restarts = check_count("num_restarts", num_restarts)
        if step_size is None:
            step_size = default_step_size(self.epsilon, num_steps)
        self.step_size = check_step_size(step_size, self.epsilon)
        if num_restarts > 1 and not random_start:
            raise InputError("`num_restarts` above 1 repeats the same run without `random_start`.")
        self.random_start = random_start
        objectives.get(objective)
        self.objective = objective

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

        def restart(counter: int | tf.Tensor) -> tf.Tensor:
            start = self._start(images, seed, indices, counter)
            return self._climb(logits_fn, images, labels, start)

        if self.num_restarts == 1:
            return restart(0)

        def keep_best(
            counter: tf.Tensor, best: tf.Tensor, best_margin: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            found = restart(counter)
            margin = objectives.margin(labels, logits_fn(found))
            # Not a plain "greater": NaN must surface in the result, not lose to a number.
            better = tf.logical_not(margin <= best_margin)
            best = tf.where(expand(better, images), found, best)
            return counter + 1, best, tf.where(better, margin, best_margin)

        lowest = tf.fill([tf.shape(images)[0]], tf.float32.min)
        loop = tf.while_loop(
            lambda counter, *_: counter < self.num_restarts,
            keep_best,
            (tf.constant(0), images, lowest),
        )
        return loop[1]

    def _start(
        self, images: tf.Tensor, seed: tf.Tensor, indices: tf.Tensor, counter: int | tf.Tensor
    ) -> tf.Tensor:
        if not self.random_start:
            return images
        return random_start(
            images, self.epsilon, self.norm, seed=seed, indices=indices, counter=counter
        )

    def _climb(
        self,
        logits_fn: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        start: tf.Tensor,
    ) -> tf.Tensor:
        order = CLEVERHANS_ORDERS[self.norm]
        objective = objectives.get(self.objective)

        def step(count: tf.Tensor, adversarial: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            moved = fast_gradient_method(
                logits_fn,
                adversarial,
                self.step_size,
                order,
                loss_fn=objective,
                clip_min=0.0,
                clip_max=1.0,
                y=labels,
            )
            moved = images + clip_eta(moved - images, order, self.epsilon)
            return count + 1, tf.clip_by_value(moved, 0.0, 1.0)

        return tf.while_loop(
            lambda count, _: count < self.num_steps, step, (tf.constant(0), start)
        )[1]
