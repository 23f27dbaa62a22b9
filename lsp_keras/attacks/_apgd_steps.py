"""How Auto-PGD starts, moves and adapts its steps: what differs between the norms."""

import abc
import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from lsp_keras.attacks._geometry import GEOMETRIES
from lsp_keras.attacks._problem import Problem
from lsp_keras.attacks._staged import State
from lsp_keras.ops import random
from lsp_keras.ops.norms import expand, l2_norm, unit_largest
from lsp_keras.ops.projections import project
from lsp_keras.types import Norm

_MOMENTUM = 0.75
_SMALLEST_LENGTH = 1e-12
# A projected entry that should be unchanged may differ by this much.
_ROUNDING = 1e-6


class StepRule(abc.ABC):
    """One way to ascend inside a ball.

    The state holds the current and the best points with their gradients; a rule adds what it
    needs beside them in `begin`.
    """

    @abc.abstractmethod
    def start(
        self, problem: Problem, radius: tf.Tensor | float, counter: int | tf.Tensor
    ) -> tf.Tensor:
        """A random point of the ball and the pixel box for each image."""

    @abc.abstractmethod
    def checkpoints(self, num_steps: int) -> list[int]:
        """Numbers of steps after which `adapt` is called."""

    @abc.abstractmethod
    def begin(
        self, images: tf.Tensor, start: tf.Tensor, loss: tf.Tensor, radius: tf.Tensor | float
    ) -> State:
        """The rule's own part of the state before the first step in a ball."""

    @abc.abstractmethod
    def move(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, is_first: tf.Tensor
    ) -> State:
        """The state with its current points moved; `is_first` is true of a ball's first step."""

    @abc.abstractmethod
    def adapt(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, window_length: tf.Tensor
    ) -> State:
        """The state after a checkpoint that ends a window of this many steps."""


class HalvingRule(StepRule):
    """Steps with momentum, halved where the objective has stopped to rise.

    Args:
        norm: Norm of the ball, `"linf"` or `"l2"`.
        rho: Share of steps that must rise for the step size to stay.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness, 2020, Algorithm 1.
    """

    def __init__(self, norm: Norm, rho: float) -> None:
        self._norm = norm
        self._rho = rho
        self._steepest = _STEEPEST[norm]

    def start(
        self, problem: Problem, radius: tf.Tensor | float, counter: int | tf.Tensor
    ) -> tf.Tensor:
        """A random point on the surface of the ball."""
        direction = GEOMETRIES[self._norm].draw_direction(
            problem.images, seed=problem.seed, indices=problem.indices, counter=counter
        )
        return tf.clip_by_value(problem.images + radius * direction, 0.0, 1.0)

    def checkpoints(self, num_steps: int) -> list[int]:
        """After 22 % of the steps, then after windows that become shorter.

        Example:
            >>> HalvingRule("linf", 0.75).checkpoints(100)
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

    def begin(
        self, images: tf.Tensor, start: tf.Tensor, loss: tf.Tensor, radius: tf.Tensor | float
    ) -> State:
        """State in which the first step crosses the ball."""
        return {
            "previous": start,
            "best_loss_at_check": loss,
            "was_halved": tf.ones_like(loss, tf.bool),
            "step_size": tf.zeros_like(loss) + 2.0 * radius,
        }

    def move(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, is_first: tf.Tensor
    ) -> State:
        """Steps 3 and 4 of Algorithm 1: a projected step, then one with momentum."""
        current = state["current"]
        # z = P(x_k + eta g), along the steepest direction of the norm.
        ahead = current + expand(state["step_size"], images) * self._steepest(state["gradient"])
        ahead = project(ahead, images, radius, self._norm)
        # x_{k+1} = P(x_k + alpha (z - x_k) + (1 - alpha) (x_k - x_{k-1})), alpha = 1 at first.
        share = tf.where(is_first, 1.0, _MOMENTUM)
        moved = current + share * (ahead - current)
        moved += (1.0 - share) * (current - state["previous"])
        moved = project(moved, images, radius, self._norm)
        return state | {"current": moved, "previous": current}

    def adapt(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, window_length: tf.Tensor
    ) -> State:
        """Halves steps and goes back to the best points (Conditions 1 and 2)."""
        # Condition 1: fewer rises than rho of the window; Condition 2: no progress since the last
        # checkpoint although the step was not halved there.
        too_few_rises = state["num_rises"] <= self._rho * window_length
        no_progress = state["best_loss_at_check"] >= state["best_loss"]
        halve = too_few_rises | (no_progress & ~state["was_halved"])
        return _back_to_best(state, halve) | {
            "step_size": tf.where(halve, 0.5 * state["step_size"], state["step_size"]),
            "was_halved": halve,
            "best_loss_at_check": state["best_loss"],
        }


class SparsityRule(StepRule):
    """Steps in the steepest entries alone, as many as the best point's changes suggest.

    Where the best point has become sparser the step is as long as the radius again and starts
    from there; elsewhere it becomes shorter. There is no momentum.

    Args:
        first_share: Share of the entries that move at first; `None` takes it from the start.

    References:
        Croce and Hein, Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image
        Classifiers, ICML 2021, Algorithm 1.
    """

    _WINDOW = 0.04
    _STEP_DIVISOR = 1.5
    _SHORTEST_STEP = 0.1
    _SPARSER = 0.95

    def __init__(self, first_share: float | None) -> None:
        self._first_share = first_share

    def start(
        self, problem: Problem, radius: tf.Tensor | float, counter: int | tf.Tensor
    ) -> tf.Tensor:
        """Normal noise, projected, so that few entries are changed."""
        noise = random.normal(problem.seed, problem.indices, problem.image_shape, counter=counter)
        return project(problem.images + noise, problem.images, radius, "l1")

    def checkpoints(self, num_steps: int) -> list[int]:
        """After every 4 % of the steps.

        Example:
            >>> SparsityRule(0.2).checkpoints(100)[:3]
            [4, 8, 12]
        """
        length = max(math.floor(self._WINDOW * num_steps), 1)
        return list(range(length, num_steps + 1, length))

    def begin(
        self, images: tf.Tensor, start: tf.Tensor, loss: tf.Tensor, radius: tf.Tensor | float
    ) -> State:
        num_entries = math.prod(images.shape[1:])
        changed = _num_changed(start, images)
        num_moved = _two_thirds(changed)
        if self._first_share is not None:
            changed = tf.zeros_like(changed) + num_entries
            num_moved = tf.zeros_like(changed) + math.ceil(self._first_share * num_entries)
        return {
            "step_size": tf.zeros_like(loss) + radius,
            "num_moved": num_moved,
            "num_changed": changed,
        }

    def move(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, is_first: tf.Tensor
    ) -> State:
        """Steps 5 to 7 of Algorithm 1: a sparse step and its exact projection."""
        direction = sparse_step(state["gradient"], state["num_moved"])
        moved = state["current"] + expand(state["step_size"], images) * direction
        return state | {"current": project(moved, images, radius, "l1")}

    def adapt(
        self, images: tf.Tensor, state: State, radius: tf.Tensor, window_length: tf.Tensor
    ) -> State:
        """Steps 10 to 16 of Algorithm 1."""
        # How sparse the best point is now, (batch,).
        changed = _num_changed(state["best"], images)
        before = tf.cast(state["num_changed"], tf.float32)
        sparser = tf.cast(changed, tf.float32) < self._SPARSER * before
        # The full step from the best point again, or a shorter one from here.
        shorter = tf.maximum(state["step_size"] / self._STEP_DIVISOR, self._SHORTEST_STEP * radius)
        return _back_to_best(state, sparser) | {
            "step_size": tf.where(sparser, radius, shorter),
            "num_moved": _two_thirds(changed),
            "num_changed": changed,
        }


def sparse_step(gradient: tf.Tensor, num_moved: tf.Tensor) -> tf.Tensor:
    """The signs of the largest entries, scaled to an L1 norm of 1.

    Args:
        gradient: Gradient with respect to the images, `(batch, height, width, channels)`.
        num_moved: How many entries move, int `(batch,)`; at least one does.
    """
    num_entries = math.prod(gradient.shape[1:])
    ascending = tf.sort(tf.reshape(tf.abs(gradient), [-1, num_entries]), axis=1)
    # (batch,): the smallest entry that still moves, by its place from above.
    place = num_entries - tf.maximum(num_moved, 1)
    smallest = tf.gather(ascending, place, axis=1, batch_dims=1)
    # Not "at least the smallest": NaN must surface in the step, not be left out.
    left_out = tf.abs(gradient) < expand(smallest, gradient)
    signs = tf.where(left_out, 0.0, tf.sign(gradient))
    lengths = tf.reduce_sum(tf.abs(signs), axis=[1, 2, 3])
    return signs / expand(tf.maximum(lengths, 1.0), gradient)


def _back_to_best(state: State, rows: tf.Tensor) -> State:
    back = expand(rows, state["current"])
    return state | {
        "current": tf.where(back, state["best"], state["current"]),
        "gradient": tf.where(back, state["best_gradient"], state["gradient"]),
    }


def _num_changed(moved: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    is_changed = tf.abs(moved - images) > _ROUNDING
    return tf.math.count_nonzero(is_changed, axis=[1, 2, 3], dtype=tf.int32)


def _two_thirds(counts: tf.Tensor) -> tf.Tensor:
    """Rounded up, in integers: in floats a graph that is rewritten may round another way."""
    return (2 * counts + 2) // 3


def _normalized(gradient: tf.Tensor) -> tf.Tensor:
    # In parts of its largest entry a gradient is never too small to be seen.
    gradient = unit_largest(gradient)
    return gradient / (expand(l2_norm(gradient), gradient) + _SMALLEST_LENGTH)


_STEEPEST: Mapping[Norm, Callable[[tf.Tensor], tf.Tensor]] = {"linf": tf.sign, "l2": _normalized}
