"""The frozen helper of a run: the user's own model, or one trained before the run and cached."""

import shutil
from collections.abc import Callable
from pathlib import Path

import keras

from lsp_keras.classifiers import load_classifier
from lsp_keras.processes import locked
from lsp_keras.runs.files.folder import NOT_COMPARED, RunFolder
from lsp_keras.runs.files.history import read_table
from lsp_keras.runs.settings.config import READING, FitConfig
from lsp_keras.runs.settings.resolve import resolve
from lsp_keras.runs.settings.units import Unit, settings_of
from lsp_keras.storage import cache_dir, fingerprint
from lsp_keras.types import Dataset, DatasetInfo
from lsp_keras.validation import InputError

# Trains a run in a folder, from where it was left if it was begun.
Train = Callable[[FitConfig, RunFolder], object]

# What the helper has in common with the run it helps.
_SHARED = (
    "dataset",
    "data_dir",
    "num_train",
    "num_test",
    "validation_size",
    *READING,
    "data_seed",
    "augmentation",
    "model",
    "batch_size",
    "learning_rate",
    "schedule",
    "momentum",
    "cycle_momentum",
    "weight_decay",
    "clip_norm",
    "mixed_precision",
    "seed",
)


_ALWAYS_TOLD = ("width", "activation")
# Settings with which a helper is what it was before there were such settings.
_DEFAULTS_ADDED = (("data_seed", 0), ("cycle_momentum", False))


def find_helper(
    config: FitConfig,
    dataset: Dataset,
    *,
    cache: Path | None,
    train: Train,
    announce: Callable[[str], None],
) -> keras.Model:
    """The helper that a run's settings name, or the one made for them.

    Args:
        config: Resolved settings of the run.
        dataset: Dataset to train on.
        cache: Where helpers are kept, by all they depend on; default the user's cache folder.
        train: Function that is called with the helper's settings and folder where it is not
            complete.
        announce: Function that is called with a sentence that says which helper it is.

    Raises:
        InputError: The named model is missing, or is none for these images.
    """
    if config.method["helper"] is not None:
        path = str(config.method["helper"])
        model: keras.Model = load_classifier(path).model
        _check_images(model, path, dataset.info)
        return model
    own = helper_config(config)
    folder = _folder(own, dataset, cache)
    found = _cached(own, folder, announce)
    if found is not None:
        announce(f"Helper: the one in {folder.path}.")
        return found
    lock = folder.path.with_name(f"{folder.path.name}.lock")
    with locked(lock, f"The helper {folder.path}", wait=True, announce=announce):
        # Another process may have made it in the meantime.
        found = _cached(own, folder, announce)
        if found is None:
            _complete(own, folder, train, announce)
            found = load_classifier(folder.path).model
    return found


def _cached(
    own: FitConfig, folder: RunFolder, announce: Callable[[str], None]
) -> keras.Model | None:
    """The helper in the cache; `None` where it is not complete or damaged."""
    if _epochs_done(folder) < own.epochs:
        return None
    try:
        found: keras.Model = load_classifier(folder.path).model
    except InputError as error:
        announce(f"Helper: trained again. {error}")
        return None
    return found


def _complete(
    own: FitConfig, folder: RunFolder, train: Train, announce: Callable[[str], None]
) -> None:
    """Trains the helper, from where it was left unless it was complete and its model is damaged."""
    if _epochs_done(folder) >= own.epochs:
        shutil.rmtree(folder.path)
    what = "going on with" if folder.config.exists() else "none for these settings yet; making"
    announce(
        f"Helper: {what} {folder.path}, {own.epochs} epochs of standard training. "
        "(--helper RUN does without.)"
    )
    folder.remove_leftovers()
    train(own, folder)


def helper_config(config: FitConfig) -> FitConfig:
    """Settings of the helper's own run: the same images and optimizer, plainly trained."""
    shared = {name: getattr(config, name) for name in _SHARED}
    epochs = config.method["helper_epochs"] or config.epochs
    return resolve(FitConfig(regularizers={}, epochs=epochs, **shared))


def _folder(own: FitConfig, dataset: Dataset, cache: Path | None) -> RunFolder:
    """Named by what the helper depends on; the keys are those of helpers cached earlier."""
    # How images are read shows in them.
    left_out = {*NOT_COMPARED, *READING}
    names = [name for name in (*_SHARED, "epochs") if name not in left_out]
    settings: dict[str, object] = {}
    for name in names:
        value = getattr(own, name)
        if (name, value) in _DEFAULTS_ADDED:
            continue
        settings |= _of_unit(name, value) if isinstance(value, Unit) else {name: value}
    splits = (dataset.train, dataset.validation)
    images = [array for split in splits for array in (split.images, split.labels)]
    name = f"{own.label}-{fingerprint(settings, *images)}"
    return RunFolder(cache_dir(cache) / "helpers" / name)


def _of_unit(name: str, unit: Unit) -> dict[str, object]:
    """A unit's name and settings, less defaults that helpers cached earlier did not know."""
    known = settings_of(unit.kind, unit.name)
    told = {k: v for k, v in unit.given.items() if k in _ALWAYS_TOLD or v != known[k].default}
    return {name: unit.name, **told}


def _epochs_done(folder: RunFolder) -> int:
    """Epochs in its history; none where that is missing or damaged: they are trained again."""
    try:
        return len(read_table(folder.history)[1:])
    except InputError:
        return 0


def _check_images(model: keras.Model, path: str, info: DatasetInfo) -> None:
    taken, answered = (getattr(model, name, None) for name in ("input_shape", "output_shape"))
    if not (isinstance(taken, tuple) and isinstance(answered, tuple)):
        raise InputError(
            f"The helper {path} must be a Keras model of one input and one output that states "
            "their shapes, as one that was built with an Input does."
        )
    shape, classes = taken[1:], answered[-1]
    if shape != tuple(info.image_shape) or classes != info.num_classes:
        raise InputError(
            f"The helper {path} takes images {shape} to {classes} classes; {info.name} has "
            f"images {tuple(info.image_shape)} of {info.num_classes} classes."
        )
