"""The folder of a run: where its files lie, and which run a command means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from lsp_keras.runs.config import FitConfig, config_from, read_config
from lsp_keras.runs.resolve import in_force
from lsp_keras.validation import InputError

# What may change when a run goes on: where data lie, how it is watched, what is tested later.
NOT_COMPARED = {"data_dir", "num_test", "stop_at_collapse", "tensorboard"}


@dataclass(frozen=True)
class RunFolder:
    """Names of a run's files.

    Attributes:
        path: The run's folder.
    """

    path: Path

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


def new_run(runs_dir: Path, name: str | None, config: FitConfig) -> RunFolder:
    """Folder that does not exist yet: the given name, or the next free one.

    Raises:
        InputError: There is a run of that name.
    """
    if name is None:
        return RunFolder(next(path for path in _numbered(runs_dir, config) if not path.exists()))
    if (runs_dir / name).exists():
        raise InputError(
            f"There is a run {runs_dir / name} already. Go on with it by --resume, or choose "
            "another --name."
        )
    return RunFolder(runs_dir / name)


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
    """Whether both name an image folder: whether its images are the same is compared later."""
    return name == "dataset" and all(
        str(values.get("dataset")).startswith("folder:") for values in (theirs, ours)
    )


def _flat(config: FitConfig) -> dict[str, Any]:
    """Every setting in force by the name of its option."""
    return {name: value for name, value in in_force(config).flat().items() if value is not None}
