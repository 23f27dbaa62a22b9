"""Auto-PGD: gradient ascent with momentum that sets its own step size."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from lsp_keras.attacks._geometry import GEOMETRIES
from lsp_keras.attacks._gradient import check_count, value_and_gradient
from lsp_keras.attacks._staged import StagedAttack, State
from lsp_keras.ops import objectives
from lsp_keras.ops.norms import expand
from lsp_keras.ops.projections import project
from lsp_keras.types import Norm
from lsp_keras.validation import InputError, check_choice, check_positive

__all__ = ["APGD"]

_FIRST_STEP = 2.0
_MOMENTUM = 0.75
_EARLY_WINDOWS = (2, 5, 10)
_OBJECTIVES = ("cross_entropy", "dlr", "margin", "targeted_dlr")
_MINIMUM_CLASSES = {"dlr": 3, "targeted_dlr": 4}


class APGD(StagedAttack):
    """Auto-PGD on the cross entropy, DLR, the margin or the targeted DLR.

    The step starts at twice the radius and is halved, with a restart from the best point,
    wherever the objective has stopped to rise. The targeted form runs once for each of the
    classes that follow the label's in the clean logits.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: `"linf"` or `"l2"`.
        num_steps: Steps of each turn.
        num_restarts: Random starts, for each target where there are targets.
        objective: `"cross_entropy"`, `"dlr"` (three classes or more), `"margin"` or
            `"targeted_dlr"` (four classes or more).
        num_targets: Most target classes of `"targeted_dlr"`.
        rho: Share of steps that must rise for the step size to stay.
        num_samples: Passes whose gradients are averaged, for models that answer at random.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of
        Diverse Parameter-free Attacks, 2020, Algorithm 1, and its official code.

    Differs from the reference:
        As in the official code, not the paper, the first window counts its first step as a
        rise if the objective is above 0. Starts are drawn for each image from its index.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_steps: int = 100,
        num_restarts: int = 1,
        objective: str = "cross_entropy",
        num_targets: int = 9,
        rho: float = 0.75,
        num_samples: int = 1,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = check_count("num_steps", num_steps)
        self.num_restarts = check_count("num_restarts", num_restarts)
        self.objective = check_choice("objective", objective, _OBJECTIVES)
        self.num_targets = check_count("num_targets", num_targets)
        check_positive("rho", rho)
        self.rho = rho
        self.num_samples = check_count("num_samples", num_samples)

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
        """A few early ends, since weak points fall at once, then the checkpoints."""
        checks = checkpoints(self.num_steps)
        early = [step for step in _EARLY_WINDOWS if step < min([*checks, self.num_steps])]
        return [*early, *checks, *([self.num_steps] if self.num_steps not in checks else [])]

    @property
    def _is_targeted(self) -> bool:
        return self.objective == "targeted_dlr"

    def begin(
        self,
        logits_fn: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        *,
        seed: tf.Tensor,
        indices: tf.Tensor,
        turn: tf.Tensor,
    ) -> State:
        """See `StagedAttack.begin`: a random point of the sphere."""
        direction = GEOMETRIES[self.norm].draw_direction(
            images, seed=seed, indices=indices, counter=turn
        )
        start = tf.clip_by_value(images + self.epsilon * direction, 0.0, 1.0)
        targets = labels
        if self._is_targeted:
            targets = ranked_class(logits_fn(images), 1 + turn // self.num_restarts)
        loss, gradient, logits = self._ascent(logits_fn, start, labels, targets)
        zeros = tf.zeros_like(loss)
        return {
            "targets": targets,
            "current": start,
            "previous": start,
            "gradient": gradient,
            "best": start,
            "best_gradient": gradient,
            "best_loss": loss,
            "best_loss_at_check": loss,
            "last_loss": zeros,
            "num_rises": zeros,
            "was_halved": tf.ones_like(loss, tf.bool),
            "step_size": zeros + _FIRST_STEP * self.epsilon,
            "adversarial": start,
            "broken": tf.argmax(logits, axis=1) != labels,
        }

    def advance(
        self,
        logits_fn: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        state: State,
        *,
        seed: tf.Tensor,
        indices: tf.Tensor,
        turn: tf.Tensor,
        first: tf.Tensor,
        last: tf.Tensor,
    ) -> State:
        """See `StagedAttack.advance`."""
        window_lengths = tf.constant(window_length_at(self.num_steps), tf.float32)

        def step(count: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
            state = self._move(images, state, count)
            loss, gradient, logits = self._ascent(
                logits_fn, state["current"], labels, state["targets"]
            )
            state = _remember(state, loss, gradient, tf.argmax(logits, axis=1) != labels)
            return count + 1, self._check(state, window_lengths[count])

        state = tf.while_loop(lambda count, _: count < last, step, (first, state))[1]
        unbroken = expand(tf.logical_not(state["broken"]), images)
        return state | {"adversarial": tf.where(unbroken, state["best"], state["adversarial"])}

    def _move(self, images: tf.Tensor, state: State, count: tf.Tensor) -> State:
        """Steps 3 and 4 of Algorithm 1: a projected step, then one with momentum."""
        current = state["current"]
        steepest = GEOMETRIES[self.norm].steepest(state["gradient"])
        ahead = current + expand(state["step_size"], images) * steepest
        ahead = project(ahead, images, self.epsilon, self.norm)
        share = tf.where(count > 0, _MOMENTUM, 1.0)
        moved = current + share * (ahead - current)
        moved += (1.0 - share) * (current - state["previous"])
        moved = project(moved, images, self.epsilon, self.norm)
        return state | {"current": moved, "previous": current}

    def _ascent(
        self,
        logits_fn: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Objective `(batch,)`, its gradient averaged over samples, and the last logits."""
        objective = self._objective_towards(targets)
        loss, gradient, logits = value_and_gradient(logits_fn, objective, images, labels)
        if self.num_samples == 1:
            return loss, gradient, logits

        def sample(count: tf.Tensor, total: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            loss, gradient, logits = value_and_gradient(logits_fn, objective, images, labels)
            return count + 1, total + gradient, loss, logits

        _, total, loss, logits = tf.while_loop(
            lambda count, *_: count < self.num_samples,
            sample,
            (tf.constant(1), gradient, loss, logits),
        )
        return loss, total / self.num_samples, logits

    def _objective_towards(self, targets: tf.Tensor) -> objectives.Objective:
        if self._is_targeted:
            return functools.partial(objectives.targeted_dlr, targets=targets)
        return objectives.get(self.objective)

    def _check(self, state: State, window_length: tf.Tensor) -> State:
        """At a checkpoint, halves steps and goes back to the best points (Conditions 1, 2)."""
        is_check = window_length > 0.0
        too_few_rises = state["num_rises"] <= self.rho * window_length
        no_progress = state["best_loss_at_check"] >= state["best_loss"]
        halve = too_few_rises | (no_progress & ~state["was_halved"])
        halved = halve & is_check
        back = expand(halved, state["current"])
        return state | {
            "step_size": tf.where(halved, 0.5 * state["step_size"], state["step_size"]),
            "current": tf.where(back, state["best"], state["current"]),
            "gradient": tf.where(back, state["best_gradient"], state["gradient"]),
            "was_halved": tf.where(is_check, halve, state["was_halved"]),
            "best_loss_at_check": tf.where(
                is_check, state["best_loss"], state["best_loss_at_check"]
            ),
            "num_rises": tf.where(is_check, 0.0, state["num_rises"]),
        }


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


def checkpoints(num_steps: int) -> list[int]:
    """Numbers of steps after which the step size is judged.

    Example:
        >>> checkpoints(100)
        [22, 41, 57, 70, 80, 87, 93, 99]
    """
    length = max(math.floor(0.22 * num_steps), 1)
    shortest = max(math.floor(0.06 * num_steps), 1)
    shrink = max(math.floor(0.03 * num_steps), 1)
    found, position = [], length
    while position <= num_steps:
        found.append(position)
        length = max(length - shrink, shortest)
        position += length
    return found


def window_length_at(num_steps: int) -> np.ndarray:
    """For each step the length of the window that ends with it, 0 where none does."""
    lengths = np.zeros(num_steps)
    ends = checkpoints(num_steps)
    lengths[np.array(ends) - 1] = np.diff([0, *ends])
    return lengths


def ranked_class(logits: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
    """The class of each image's logit of this rank; 0 is the largest."""
    order = tf.argsort(logits, axis=1, direction="DESCENDING")
    return tf.cast(tf.gather(order, rank, axis=1), tf.int64)
