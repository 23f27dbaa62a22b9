"""Learning rates and momentum over a run, counted in steps.

Each learning rate takes the highest value and the number of steps in the run and returns what a
Keras optimizer accepts as `learning_rate`.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from lsp_keras.validation import check_choice, check_positive

_DROPS = (0.75, 0.9)
_DROP_FACTOR = 0.1


def schedule(name: str, learning_rate: float, total_steps: int) -> Any:
    """A schedule by name.

    Args:
        name: Name of the schedule: `"step"`, `"one_cycle"`, `"cosine"`, `"cyclic"` or `"constant"`.
        learning_rate: The highest one.
        total_steps: Steps in the run: epochs times steps of an epoch.

    Returns:
        A Keras `LearningRateSchedule`, or the number itself for `"constant"`.

    Raises:
        InputError: There is no such schedule, or a number is not positive.
    """
    check_choice("schedule", name, SCHEDULES)
    check_positive("learning_rate", learning_rate)
    check_positive("total_steps", total_steps)
    return SCHEDULES[name](learning_rate, total_steps)


def step(learning_rate: float, total_steps: int) -> Any:
    """A tenth after 75 % of the steps and a hundredth after 90 %.

    References:
        Local Structure Preserving, 4.1: 100 epochs, divided by 10 in epochs 75 and 90.
    """
    # Keras's boundaries are the last step of each part.
    boundaries = [math.floor(total_steps * part) - 1 for part in _DROPS]
    values = [learning_rate * _DROP_FACTOR**drops for drops in range(len(_DROPS) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


def cosine(learning_rate: float, total_steps: int) -> Any:
    """From the highest to zero along half a cosine."""
    return keras.optimizers.schedules.CosineDecay(learning_rate, total_steps)


def constant(learning_rate: float, total_steps: int) -> float:
    """The same in every step."""
    return learning_rate


@keras.saving.register_keras_serializable("lsp_keras")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Half a cosine up to the highest learning rate, and another down to almost zero.

    Starts at 1/25 of the highest, reaches it after `warm_up` of the steps, ends at 1/250,000.

    Args:
        learning_rate: The highest.
        total_steps: Steps in the run; later steps keep the last value.
        warm_up: Part of the steps that goes up.

    References:
        Helper-based Adversarial Training, which calls PyTorch's `OneCycleLR` with these values.

    Differs from the reference:
        PyTorch's class by default also moves the momentum: see `OneCycleMomentum`.
    """

    def __init__(self, learning_rate: float, total_steps: int, warm_up: float = 0.25) -> None:
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warm_up = warm_up

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step, counted from 0."""
        first, last = self.learning_rate / 25, self.learning_rate / 25e4
        return _one_cycle(step, self.total_steps, self.warm_up, (first, self.learning_rate, last))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "warm_up": self.warm_up,
        }


@keras.saving.register_keras_serializable("lsp_keras")
class OneCycleMomentum(keras.optimizers.schedules.LearningRateSchedule):
    """Momentum that is low where `OneCycle`'s learning rate is high, along the same cosines.

    Args:
        total_steps: Steps in the run; later steps keep the last value.
        warm_up: Part of the steps that goes down.
        high: Momentum at the start and at the end.
        low: Momentum where the learning rate is highest.

    References:
        PyTorch, torch.optim.lr_scheduler.OneCycleLR with `cycle_momentum`, its default.
    """

    def __init__(
        self, total_steps: int, warm_up: float = 0.25, high: float = 0.95, low: float = 0.85
    ) -> None:
        self.total_steps = total_steps
        self.warm_up = warm_up
        self.high = high
        self.low = low

    def __call__(self, step: Any) -> Any:
        """Momentum of a step, counted from 0."""
        return _one_cycle(step, self.total_steps, self.warm_up, (self.high, self.low, self.high))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in ("total_steps", "warm_up", "high", "low")}


@keras.saving.register_keras_serializable("lsp_keras")
class Cyclic(keras.optimizers.schedules.LearningRateSchedule):
    """A straight line from zero up to the highest learning rate, and one back down to zero.

    Args:
        learning_rate: The highest, after half of the steps.
        total_steps: Steps in the run; later steps keep zero.

    References:
        Smith, Cyclical Learning Rates for Training Neural Networks, 2017, its triangular policy
        with a single cycle. Wong et al., Fast is better than free: Revisiting adversarial
        training, 2020, whose code for CIFAR-10 calls PyTorch's `CyclicLR` so, with 0.2 over 15
        epochs.
    """

    def __init__(self, learning_rate: float, total_steps: int) -> None:
        self.learning_rate = learning_rate
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Any:
        """Learning rate of a step, counted from 0."""
        part = ops.cast(step, "float32") / self.total_steps
        return self.learning_rate * ops.maximum(1.0 - ops.abs(2.0 * part - 1.0), 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"learning_rate": self.learning_rate, "total_steps": self.total_steps}


def _one_cycle(
    step: Any, total_steps: int, warm_up: float, values: tuple[float, float, float]
) -> Any:
    """From the first value to the second over the warm-up, then on to the third."""
    first, second, third = values
    top = warm_up * total_steps - 1
    step = ops.cast(step, "float32")
    up = _along_cosine(first, second, step / max(top, 1e-9))
    down = _along_cosine(second, third, (step - top) / max(total_steps - 1 - top, 1e-9))
    return ops.where(step <= top, up, down)


def _along_cosine(start: float, end: float, fraction: Any) -> Any:
    """`start` at fraction 0, `end` at fraction 1, and half a cosine between."""
    fraction = ops.clip(fraction, 0.0, 1.0)
    return end + (start - end) * 0.5 * (1.0 + ops.cos(math.pi * fraction))


SCHEDULES: dict[str, Callable[[float, int], Any]] = {
    "step": step,
    "one_cycle": OneCycle,
    "cosine": cosine,
    "cyclic": Cyclic,
    "constant": constant,
}
