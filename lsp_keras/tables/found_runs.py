"""Runs by what their weights depend on, whatever their folders are called."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsp_keras.runs.files.folder import NOT_COMPARED, RunFolder
from lsp_keras.runs.files.history import load_history, read_table
from lsp_keras.runs.files.moved import images_name
from lsp_keras.runs.settings.config import FitConfig, config_from
from lsp_keras.runs.settings.resolve import in_force
from lsp_keras.runs.settings.toml_file import read_config
from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError

_OF_ENCODERS = {"encoder_epochs", "encoder_width"}
_OF_NEIGHBORS = _OF_ENCODERS | {
    "augment_neighbors",
    "embeddings",
    "encoder",
    "features",
    "neighbors",
    "normalize_features",
    "num_neighbors",
    "space",
}
_SEED = "seed"


def key_of(config: FitConfig, *, seed: bool = True) -> str:
    """Fingerprint of all that a run's weights depend on.

    Args:
        config: Settings of the run.
        seed: Whether its seed counts, so that runs which differ in it alone have other keys.
    """
    settings = in_force(config).flat()
    left_out = {*NOT_COMPARED, *_idle(config), *(() if seed else (_SEED,))}
    return fingerprint({k: v for k, v in settings.items() if k not in left_out and v is not None})


def config_of(run: Path) -> FitConfig:
    """The settings of a run.

    Raises:
        InputError: The folder is no run's, or its settings cannot be read.
    """
    path = RunFolder(run).config
    return config_from(read_config(path), source=str(path))


def find_run(runs_dir: Path, config: FitConfig) -> Path | None:
    """The run of these settings in a folder of runs; a finished one before others."""
    key, images = key_of(config), images_name(config.dataset.name, None)
    found = [
        run
        for run, own in _runs(runs_dir)
        # A folder of images may be another one by the same relative path.
        if key_of(own) == key and images_name(own.dataset.name, run) == images
    ]
    return next((run for run in found if is_finished(run, config)), found[0] if found else None)


def is_finished(run: Path, config: FitConfig) -> bool:
    """Whether a run has done all of its epochs, or has stopped early as it was to.

    Raises:
        InputError: Its history is damaged.
    """
    epochs = len(read_table(RunFolder(run).history)[1:])
    if config.early_stopping is None or not 0 < epochs < config.epochs:
        return epochs >= config.epochs
    best = load_history(run).best_epoch
    return best is not None and epochs - best >= config.early_stopping


def _runs(runs_dir: Path) -> Iterator[tuple[Path, FitConfig]]:
    """All runs whose settings can be read; others are no candidates."""
    for path in sorted(runs_dir.glob("*/config.toml")):
        try:
            yield path.parent, config_of(path.parent)
        except InputError:
            continue


def _idle(config: FitConfig) -> set[str]:
    """Settings that nothing reads: of neighbors where there are none, of an encoder likewise."""
    if "lsp" not in config.regularizers and config.group_size is None:
        return _OF_NEIGHBORS
    given: tuple[Any, ...] = (config.encoder, config.embeddings, config.neighbors)
    return _OF_ENCODERS if any(given) or config.features == "pixels" else set()
