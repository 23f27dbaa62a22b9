"""What a run needs to go on after it was killed, in one file that is whole or absent."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lsp_keras.storage import atomic_path
from lsp_keras.validation import InputError

STATE_FILE = "state.npz"
_RECORD = "record"


class StatefulCallback(keras.callbacks.Callback):
    """A callback whose memory of past epochs is kept in the run's state.

    Other callbacks start anew when a run resumes.
    """

    def get_state(self) -> dict[str, Any]:
        """What to remember, as JSON values."""
        raise NotImplementedError

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back what `get_state` returned."""
        raise NotImplementedError


@dataclass
class RunState:
    """How far a run has come.

    Attributes:
        history: Logs of each finished epoch.
        stopped: Whether a callback ended the run early.
        callbacks: Of each `StatefulCallback`, its state.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    stopped: bool = False
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)


def save_state(
    path: Path,
    state: RunState,
    trainer: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Writes progress, callbacks' memory, and every variable of model and optimizer.

    A process killed while writing leaves the previous file.
    """
    for name, callback in _stateful(callbacks).items():
        state.callbacks[name] = callback.get_state()
    arrays: dict[str, Any] = {
        name: np.asarray(variable) for name, variable in variables_of(trainer).items()
    }
    arrays[_RECORD] = np.asarray(json.dumps(asdict(state)))
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def load_state(
    path: Path, trainer: keras.Model, callbacks: Sequence[keras.callbacks.Callback]
) -> RunState:
    """Puts everything back that `save_state` wrote.

    Raises:
        InputError: The file belongs to another model or optimizer.
    """
    variables = variables_of(trainer)
    with np.load(path, allow_pickle=False) as arrays:
        state = RunState(**json.loads(str(arrays[_RECORD])))
        expected = {name: tuple(variable.shape) for name, variable in variables.items()}
        found = {name: arrays[name].shape for name in arrays.files if name != _RECORD}
        if expected != found:
            raise InputError(
                f"{path} holds the state of a run with another model or optimizer. "
                "Resume with the same settings, or start anew in another folder."
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
    for name, callback in _stateful(callbacks).items():
        if name in state.callbacks:
            callback.set_state(state.callbacks[name])
    return state


def clear_state(path: Path) -> None:
    """Removes the state and what a killed process left half-written beside it."""
    path.unlink(missing_ok=True)
    remove_leftovers(path)


def remove_leftovers(path: Path) -> None:
    """Removes temporary files of `atomic_path` beside `path`."""
    for leftover in path.parent.glob(f".*.{path.name}"):
        leftover.unlink()


def variables_of(trainer: keras.Model) -> dict[str, Any]:
    """All state by its place: the names Keras gives layers count up within a process."""
    if not trainer.optimizer.built:
        trainer.optimizer.build(trainer.trainable_variables)
    groups = {"model": trainer.variables, "optimizer": trainer.optimizer.variables}
    return {
        f"{group}/{position}": variable
        for group, variables in groups.items()
        for position, variable in enumerate(variables)
    }


def _stateful(callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, StatefulCallback]:
    """By type, and number within the type: a run may resume with other callbacks between."""
    named: dict[str, StatefulCallback] = {}
    count: Counter[str] = Counter()
    for callback in callbacks:
        if isinstance(callback, StatefulCallback):
            name = type(callback).__name__
            named[f"{name}:{count[name]}"] = callback
            count[name] += 1
    return named
