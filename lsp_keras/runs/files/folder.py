"""The folder of a run: where its files lie, and which run a command means."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from lsp_keras.processes import BusyError, locked
from lsp_keras.runs.files.moved import scheme_of_folder
from lsp_keras.runs.settings.config import FitConfig, config_from, read_config
from lsp_keras.runs.settings.resolve import in_force
from lsp_keras.storage import TEMPORARY_PREFIX, remove_leftovers
from lsp_keras.validation import InputError

_LOCK_FILE = ".lock"
# What may change when a run goes on: where data lie, how it is watched, what is tested later.
NOT_COMPARED = {"data_dir", "num_test", "stop_at_collapse", "tensorboard", "logger", "evaluation"}


@dataclass(frozen=True)
class RunFolder:
    """Names of a run's files.

    Attributes:
        path: The run's folder.
    """

    path: Path

    @property
    def lock(self) -> Path:
        """What a process holds while it writes to the run."""
        return self.path / _LOCK_FILE

    def remove_leftovers(self) -> None:
        """Removes what killed processes left half-written."""
        for folder in (self.path, self.checkpoints, self.evaluations):
            remove_leftovers(folder)

    @property
    def config(self) -> Path:
        """The resolved settings."""
        return self.path / "config.toml"

    @property
    def dataset(self) -> Path:
        """What export and attack need to know of the data."""
        return self.path / "dataset.json"

    @property
    def history(self) -> Path:
        """One row for each epoch."""
        return self.path / "history.csv"

    @property
    def checkpoints(self) -> Path:
        """State to resume from."""
        return self.path / "checkpoints"

    @property
    def evaluations(self) -> Path:
        """One record for each evaluation."""
        return self.path / "evaluations"

    @property
    def best_model(self) -> Path:
        """The classifier of the epoch with the best validation accuracy."""
        return self.path / "model.keras"

    @property
    def last_model(self) -> Path:
        """The classifier of the last epoch."""
        return self.path / "last.keras"

    @property
    def average_model(self) -> Path:
        """The averaged classifier of its best epoch, for runs that keep an average."""
        return self.path / "ema.keras"

    @property
    def tensorboard(self) -> Path:
        """The history for TensorBoard, for runs that write it."""
        return self.path / "tensorboard"


@contextlib.contextmanager
def new_run(runs_dir: Path, name: str | None, config: FitConfig) -> Iterator[RunFolder]:
    """A new folder, of the given name or the next free one, that no other process writes to.

    It is made before any work is done, so that of two runs started together each has its own, and
    it is gone again where no run came of it.

    Raises:
        InputError: There is a run of that name.
    """
    made = not runs_dir.exists()
    for path in _numbered(runs_dir, config) if name is None else [runs_dir / name]:
        with contextlib.ExitStack() as stack:
            if made:
                stack.callback(_remove_empty, runs_dir)
            if _claim(path, stack):
                yield RunFolder(path)
                return
    raise InputError(
        f"There is a run {runs_dir / str(name)} already. Go on with it by --resume, or choose "
        "another --name."
    )


@contextlib.contextmanager
def resumed_run(runs_dir: Path, name: str | None, config: FitConfig) -> Iterator[RunFolder]:
    """The run to resume, see `existing_run`, that no other process writes to meanwhile.

    Raises:
        InputError: There is none, its settings are others, or it is running.
    """
    folder = existing_run(runs_dir, name, config)
    with locked(folder.lock, f"The run {folder.path}"):
        folder.remove_leftovers()
        yield folder


def _claim(path: Path, stack: contextlib.ExitStack) -> bool:
    """Whether the folder is this process's now; the stack gives it back."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        # What a killed process claimed and wrote nothing to is free again.
        if not path.is_dir() or any(not _is_passing(item) for item in path.iterdir()):
            return False
    # After the lock is given back: an empty folder goes, one of a run stays.
    stack.callback(_remove_empty, path)
    folder = RunFolder(path)
    try:
        stack.enter_context(locked(folder.lock, f"The run {path}"))
    except BusyError:
        return False
    folder.remove_leftovers()
    return not folder.config.exists()


def _is_passing(item: Path) -> bool:
    return item.name == _LOCK_FILE or item.name.startswith(TEMPORARY_PREFIX)


def _remove_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()


def existing_run(runs_dir: Path, name: str | None, config: FitConfig) -> RunFolder:
    """The run to resume: the given name, or the newest one with these settings.

    Raises:
        InputError: There is none, or its settings are others.
    """
    if name is not None:
        candidates = [runs_dir / name]
    else:
        candidates = [*takewhile(Path.exists, _numbered(runs_dir, config))][::-1]
    existing = [RunFolder(path) for path in candidates if (path / "config.toml").exists()]
    if not existing:
        raise InputError(
            f"There is no run {runs_dir / (name or config.label)} to resume. Leave out --resume "
            "to start it."
        )
    matching = [folder for folder in existing if not _differences(folder, config)]
    if not matching:
        raise InputError(
            f"{existing[0].path} was started with other settings: "
            f"{', '.join(_differences(existing[0], config))}. Resume with the same, or choose "
            "another --name."
        )
    return matching[0]


def _numbered(runs_dir: Path, config: FitConfig) -> Iterator[Path]:
    """`label`, `label-2`, `label-3`, ... without end."""
    yield runs_dir / config.label
    yield from (runs_dir / f"{config.label}-{number}" for number in count(2))


def _differences(folder: RunFolder, config: FitConfig) -> list[str]:
    """`name (theirs, not ours)` for each setting that is not the same."""
    theirs = _flat(config_from(read_config(folder.config), source=str(folder.config)))
    ours = _flat(config)
    return [
        f"{name} ({theirs.get(name)}, not {ours.get(name)})"
        for name in dict.fromkeys([*ours, *theirs])
        if name not in NOT_COMPARED
        and theirs.get(name) != ours.get(name)
        and not _moved(name, theirs, ours)
    ]


def _moved(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether both name a folder of images: whether they are the same is compared later."""
    if name != "dataset":
        return False
    schemes = {scheme_of_folder(str(values.get("dataset"))) for values in (theirs, ours)}
    return len(schemes) == 1 and None not in schemes


def _flat(config: FitConfig) -> dict[str, Any]:
    """Every setting in force by the name of its option."""
    return {name: value for name, value in in_force(config).flat().items() if value is not None}
