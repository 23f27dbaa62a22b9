"""Auto-PGD: gradient ascent that sets its own step size."""

import functools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.attacks._apgd_steps import HalvingRule, SparsityRule, StepRule
from lsp_keras.attacks._gradient import check_count
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._staged import StagedAttack, State
from lsp_keras.ops import objectives
from lsp_keras.ops.loops import in_turn
from lsp_keras.ops.norms import expand
from lsp_keras.ops.projections import project
from lsp_keras.types import Floats, Norm
from lsp_keras.validation import InputError, check_positive

__all__ = ["APGD"]

_WINDOW_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_OBJECTIVES = ("cross_entropy", "dlr", "margin", "targeted_dlr", "softmax_cross_entropy")
# Below every value of an objective that stands for one which is always above 0.
_LOWEST = {"cross_entropy": -math.inf}
_MINIMUM_CLASSES = {"dlr": 3, "targeted_dlr": 4}
# Share of the entries that an L1 step changes at first.
_FIRST_SHARE = 0.2
# Share of the steps in each of the two balls that are larger than the budget.
_LARGE_BALL_SHARE = 0.3


class Ball(NamedTuple):
    """The ball of this radius, for the steps from `first` up to but without `end`."""

    radius: float
    first: int
    end: int


class APGD(StagedAttack):
    """Auto-PGD on the cross entropy, DLR, the margin or the targeted DLR.

    Under L-inf and L2 the step starts at twice the radius and is halved, with a restart from
    the best point, wherever the objective has stopped to rise. Under L1 a step changes few
    entries, ever fewer where that helps. The targeted form runs once for each of the classes
    that follow the label's in the clean logits.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, `"l2"` or `"l1"`.
        num_steps: Steps of each turn.
        num_restarts: Number of random starts, for each target where there are targets.
        objective: Objective to climb: `"cross_entropy"`, `"dlr"` (three classes or more),
            `"margin"`, `"targeted_dlr"` (four classes or more), or `"softmax_cross_entropy"`, the
            official code's own cross-entropy, which vanishes on large logits.
        num_targets: Most target classes of `"targeted_dlr"`.
        rho: Share of steps that must rise for the step size to stay; not used under L1.
        num_samples: Passes whose gradients are averaged, for models that answer at random.
        shrink_ball: Whether each turn ascends in a ball of three times the radius and one of
            twice the radius first, 30 % of the steps each, as AutoAttack's does under L1.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of
        Diverse Parameter-free Attacks, 2020, Algorithm 1, and its official code.
        Croce and Hein, Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image
        Classifiers, ICML 2021, Algorithm 1, and the same code.

    Differs from the reference:
        As in the official code, not the paper, the first window counts its first step as a
        rise if the objective is above 0. Starts are drawn for each image from its index.
    """

    supported_norms = ("linf", "l2", "l1")

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_steps: int = 100,
        num_restarts: int = 1,
        objective: Literal[
            "cross_entropy", "dlr", "margin", "targeted_dlr", "softmax_cross_entropy"
        ] = "cross_entropy",
        num_targets: int = 9,
        rho: float = 0.75,
        num_samples: int = 1,
        shrink_ball: bool = False,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        self.num_restarts = check_count("num_restarts", num_restarts)
        self.objective = objectives.check_objective(objective, _OBJECTIVES)
        self.num_targets = check_count("num_targets", num_targets)
        check_positive("rho", rho)
        self.rho = rho
        self.num_samples = check_count("num_samples", num_samples)
        self.shrink_ball = shrink_ball

    def num_turns(self, num_classes: int) -> int:
        """Restarts, times targets where there are targets."""
        minimum = _MINIMUM_CLASSES.get(self.objective, 2)
        if num_classes < minimum:
            raise InputError(
                f"APGD's objective {self.objective!r} needs at least {minimum} classes. The "
                f"model has {num_classes}. Use 'cross_entropy' or 'margin'."
            )
        targets = min(self.num_targets, num_classes - 1) if self._is_targeted else 1
        return self.num_restarts * targets

    @property
    def window_ends(self) -> Sequence[int]:
        """Close together at first, since weak points fall at once.

        Nothing can break before the last ball, so no window ends there.
        """
        first = self._balls[-1].first
        lengths = (round(share * (self.num_steps - first)) for share in _WINDOW_SHARES)
        return sorted({first + max(length, 1) for length in lengths})

    @property
    def _balls(self) -> Sequence["Ball"]:
        if not self.shrink_ball:
            return [Ball(self.epsilon, 0, self.num_steps)]
        # Three radii, two radii, then the ball itself.
        third = math.ceil(_LARGE_BALL_SHARE * self.num_steps)
        return [
            Ball(3.0 * self.epsilon, 0, third),
            Ball(2.0 * self.epsilon, third, 2 * third),
            Ball(self.epsilon, 2 * third, self.num_steps),
        ]

    @property
    def _rule(self) -> StepRule:
        if self.norm == "l1":
            return SparsityRule(first_share=None if self.shrink_ball else _FIRST_SHARE)
        return HalvingRule(self.norm, self.rho)

    @property
    def _is_targeted(self) -> bool:
        return self.objective == "targeted_dlr"

    def begin(self, problem: Problem, turn: tf.Tensor) -> State:
        """A random point of the first ball."""
        clean, targets = problem.clean_logits, problem.labels
        if self._is_targeted:
            targets = ranked_class(clean, 1 + turn // self.num_restarts)
        radius = self._balls[0].radius
        # The starting point, (batch, height, width, channels).
        start = self._rule.start(problem, radius, turn)
        given = {"targets": targets, "clean_logits": clean}
        return self._enter(problem, given, start, radius)

    def starts(self, problem: Problem) -> Sequence[tf.Tensor]:
        radius, most = self._balls[0].radius, self.num_restarts
        most *= self.num_targets if self._is_targeted else 1
        return [self._rule.start(problem, radius, counter) for counter in range(most)]

    def _enter(
        self, problem: Problem, given: State, start: tf.Tensor, radius: tf.Tensor | float
    ) -> State:
        """State at a ball's first point; `given` is what stays the same through a turn."""
        loss, gradient, logits = self._ascent(problem, given, start)
        zeros = tf.zeros_like(loss)
        return {
            "targets": given["targets"],
            "clean_logits": given["clean_logits"],
            "current": start,
            "gradient": gradient,
            "best": start,
            "best_gradient": gradient,
            "best_loss": loss,
            "last_loss": zeros + _LOWEST.get(self.objective, 0.0),
            "num_rises": zeros,
            "adversarial": start,
            "broken": problem.is_broken(logits) & (radius <= self.epsilon),
        } | self._rule.begin(problem.images, start, loss, radius)

    def advance(
        self, problem: Problem, state: State, *, turn: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> State:
        images = problem.images
        radii, starts, lengths = map(tf.constant, self._plan())

        def step(count: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            radius = radii[count]

            def enter() -> State:
                start = project(state["best"], images, radius, self.norm)
                return self._enter(problem, state, start, radius)

            # A smaller ball is entered from the best point of the larger one, projected.
            if self.shrink_ball:
                state = tf.cond(starts[count] & (count > 0), enter, lambda: state)
            # The next point, (batch, height, width, channels), momentum included.
            state = self._rule.move(images, state, radius, starts[count])
            loss, gradient, logits = self._ascent(problem, state, state["current"])
            broken = problem.is_broken(logits) & (radius <= self.epsilon)
            # The best point so far, by the objective, (batch,).
            state = _remember(state, loss, gradient, broken)
            # At a checkpoint the step may become shorter and the best point be restored.
            return count + 1, self._check(images, state, radius, lengths[count])

        state = in_turn(lambda count, _: count < last, step, (first, state))[1]
        unbroken = expand(tf.logical_not(state["broken"]), images)
        return state | {"adversarial": tf.where(unbroken, state["best"], state["adversarial"])}

    def _plan(self) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
        """For each step its ball's radius, whether it is the first there, and `window_lengths`."""
        balls, checkpoints = self._balls, self._rule.checkpoints
        sizes = [ball.end - ball.first for ball in balls]
        return (
            np.repeat([np.float32(ball.radius) for ball in balls], sizes),
            np.isin(np.arange(self.num_steps), [ball.first for ball in balls]),
            np.concatenate([window_lengths(checkpoints(size), size) for size in sizes]),
        )

    def _ascent(
        self, problem: Problem, given: State, images: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Objective `(batch,)`, its gradient averaged over samples, and the last logits."""
        objective = self._objective_of(given)
        loss, gradient, logits = problem.value_and_gradient(objective, images)
        if self.num_samples == 1:
            return loss, gradient, logits

        # For models that answer at random: the mean gradient of several passes.
        def sample(count: tf.Tensor, total: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            loss, gradient, logits = problem.value_and_gradient(objective, images)
            return count + 1, total + gradient, loss, logits

        _, total, loss, logits = in_turn(
            lambda count, *_: count < self.num_samples,
            sample,
            (tf.constant(1), gradient, loss, logits),
        )
        return loss, total / self.num_samples, logits

    def _objective_of(self, given: State) -> objectives.Objective:
        if self._is_targeted:
            return functools.partial(objectives.targeted_dlr, targets=given["targets"])
        if self.objective != "cross_entropy":
            return objectives.get(self.objective)
        clean = given["clean_logits"]

        # Values of several steps are compared, so that all have the clean image's scale.
        def climbed(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            return objectives.log_odds(labels, objectives.at_common_scale(logits, clean))

        return climbed

    def _check(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, window_length: tf.Tensor
    ) -> State:
        """The state, adapted if this step ends a window."""

        def adapt() -> State:
            adapted = self._rule.adapt(images, state, radius, window_length)
            return adapted | {"num_rises": tf.zeros_like(state["num_rises"])}

        return tf.cond(window_length > 0.0, adapt, lambda: state)


def _remember(state: State, loss: tf.Tensor, gradient: tf.Tensor, broken: tf.Tensor) -> State:
    """The state with the new point's objective, and with the point where it is the best."""
    # Not a plain "greater": NaN must surface in the result, not lose to a number.
    better = tf.logical_not(loss <= state["best_loss"])
    wide = expand(better, gradient)
    return state | {
        "gradient": gradient,
        "best": tf.where(wide, state["current"], state["best"]),
        "best_gradient": tf.where(wide, gradient, state["best_gradient"]),
        "best_loss": tf.where(better, loss, state["best_loss"]),
        "num_rises": state["num_rises"] + tf.cast(loss > state["last_loss"], tf.float32),
        "last_loss": loss,
        "adversarial": tf.where(expand(broken, gradient), state["current"], state["adversarial"]),
        "broken": state["broken"] | broken,
    }


def window_lengths(checkpoints: Sequence[int], num_steps: int) -> Floats:
    """For each step the length of the window that ends with it, 0 where none does."""
    lengths = np.zeros(num_steps, np.float32)
    lengths[np.array(checkpoints) - 1] = np.diff([0, *checkpoints])
    return lengths


def ranked_class(logits: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
    """The class of each image's logit of this rank; 0 is the largest."""
    order = tf.argsort(logits, axis=1, direction="DESCENDING")
    return tf.cast(tf.gather(order, rank, axis=1), tf.int64)
