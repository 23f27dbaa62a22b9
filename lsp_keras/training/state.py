"""What a run needs to go on after it was killed: the state of the last epoch and the one before."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lsp_keras.arrays import Array, ArrayFileError, read_npz
from lsp_keras.ops.workers import workers_of
from lsp_keras.storage import atomic_path, fingerprint
from lsp_keras.validation import InputError

STATE_FILE = "state.npz"
PREVIOUS_FILE = "previous.npz"
_RECORD, _CHECKSUM = "record", "checksum"


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
        callbacks: State of each `StatefulCallback`.
        replicas: Copies of the model that shared each batch.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    stopped: bool = False
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    replicas: int = 1


def save_state(
    path: Path,
    state: RunState,
    trainer: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Writes progress, callbacks' memory, and every variable of model and optimizer.

    The file of the epoch before is kept beside it. A process killed while writing leaves at
    least one of the two whole.
    """
    for name, callback in _stateful(callbacks).items():
        state.callbacks[name] = callback.get_state()
    arrays: dict[str, Any] = {
        name: np.asarray(variable) for name, variable in variables_of(trainer).items()
    }
    arrays[_RECORD] = np.asarray(json.dumps(asdict(state)))
    arrays[_CHECKSUM] = np.asarray(_checksum(arrays))
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)
        if path.exists():
            path.replace(path.with_name(PREVIOUS_FILE))


def has_state(folder: Path) -> bool:
    """Whether there is something to go on from, sound or not."""
    return any((folder / name).exists() for name in (STATE_FILE, PREVIOUS_FILE))


def has_sound_state(folder: Path) -> bool:
    """Whether one of the states is whole, so that a run goes on from it."""
    for name in (STATE_FILE, PREVIOUS_FILE):
        with contextlib.suppress(ArrayFileError):
            _read_arrays(folder / name)
            return True
    return False


def load_state(
    path: Path,
    trainer: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
    announce: Callable[[str], None],
) -> RunState | None:
    """Puts back what `save_state` wrote: the last state, or the one before where it is damaged.

    Args:
        path: Path of the file, as `save_state` got it.
        trainer: Whose variables are set.
        callbacks: Whose memory is set.
        announce: Function that gets a sentence wherever the last state is not the one that is used.

    Returns:
        How far the run has come; `None` where nothing sound is left of it.

    Raises:
        InputError: The state belongs to another model or optimizer, or to another number of
            replicas.
    """
    variables = variables_of(trainer)
    for candidate in (path, path.with_name(PREVIOUS_FILE)):
        try:
            state, arrays = _read(candidate, variables)
        except ArrayFileError as error:
            announce(f"{candidate} is not used: {error}.")
            continue
        _check_replicas(state, workers_of(trainer).num_replicas)
        for name, variable in variables.items():
            variable.assign(arrays[name])
        for name, callback in _stateful(callbacks).items():
            if name in state.callbacks:
                callback.set_state(state.callbacks[name])
        if candidate != path:
            announce(f"Going on from {candidate}, after epoch {len(state.history)}.")
        return state
    announce(f"No sound state is left in {path.parent}: the run starts anew.")
    return None


def _check_replicas(state: RunState, present: int) -> None:
    """Sums over another number of parts round otherwise: the run would not be the same."""
    if state.replicas != present:
        raise InputError(
            f"The run was trained on {state.replicas} replicas and cannot go on with {present}. "
            "Resume with as many GPUs or workers as it was started with."
        )


def clear_state(path: Path) -> None:
    """Removes the last state and the one before."""
    for name in (path.name, PREVIOUS_FILE):
        path.with_name(name).unlink(missing_ok=True)


def _read(path: Path, variables: Mapping[str, Any]) -> tuple[RunState, dict[str, Array]]:
    """A state and its variables' values, once they have been found sound.

    Raises:
        ArrayFileError: The file is missing or damaged.
        InputError: It is sound and belongs to another model.
    """
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    record, arrays = _read_arrays(path)
    if expected != {name: array.shape for name, array in arrays.items()}:
        raise InputError(
            f"{path} holds the state of a run with another model or optimizer. "
            "Resume with the same settings, or start anew in another folder."
        )
    return RunState(**json.loads(record)), arrays


def _read_arrays(path: Path) -> tuple[str, dict[str, Array]]:
    """The record of a state, and its arrays by the names of variables.

    Raises:
        ArrayFileError: The file is missing or damaged.
    """
    arrays = read_npz(path, None)
    checksum = arrays.pop(_CHECKSUM, None)
    if _RECORD not in arrays:
        raise ArrayFileError(f"it holds no {_RECORD}")
    # States from before there was one have the archive's own checksums only.
    if checksum is not None and str(checksum) != _checksum(arrays):
        raise ArrayFileError("its checksum is not that of its content")
    return str(arrays.pop(_RECORD)), arrays


def _checksum(arrays: Mapping[str, Any]) -> str:
    """Of all arrays with their names; text counts as text."""
    parts = ((name, arrays[name]) for name in sorted(arrays))
    plain = ((name, str(a) if a.dtype.kind == "U" else a) for name, a in parts)
    return fingerprint(*(item for part in plain for item in part))


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
