"""A classifier from a run's folder, a file of Keras or a SavedModel."""

from pathlib import Path
from typing import Any

import keras

from lsp_keras.arrays import check_archive
from lsp_keras.classifiers.classifier import Classifier
from lsp_keras.classifiers.pixels import PixelRange
from lsp_keras.classifiers.read import read
from lsp_keras.classifiers.saved_model import SavedModelClassifier, find_saved_model
from lsp_keras.places import MODEL_SUFFIXES
from lsp_keras.validation import InputError, check_choice, first_line
from lsp_keras.zoo import locate

_FILES = {"best": "model.keras", "last": "last.keras", "ema": "ema.keras"}


def load_classifier(
    path: Path | str,
    *,
    weights: str = "best",
    pixel_range: PixelRange | str | None = None,
    output: str | None = None,
) -> Classifier:
    """Loads the model of a run, any file of Keras, or a SavedModel.

    Args:
        path: Folder of a run, `zoo:NAME`, a .keras or .h5 file, or a SavedModel: its folder, or
            that of its versions, of which the newest is taken.
        weights: Weights of a run: those of the `"best"` or `"last"` epoch, or `"ema"`, their best
            average; a model's own file has one set only.
        pixel_range: Range of pixels that the model takes, such as `"0,255"`; default what it shows.
        output: Name or number of the output that classifies, for a model with several.

    Raises:
        InputError: There is no model there, or it cannot be read.
    """
    path = locate(path)
    folder = find_saved_model(path)
    if folder is not None:
        saved = SavedModelClassifier(folder)
        return read(saved, pixel_range=pixel_range, output=output).located(folder, None)
    file = find_file(path, weights)
    run = file.parent if (file.parent / "config.toml").is_file() else None
    model = load_keras(file)
    return read(model, pixel_range=pixel_range, output=output).located(file, run)


def find_file(path: Path, weights: str = "best") -> Path:
    """The file of Keras that a path stands for: itself, or a run's.

    Raises:
        InputError: There is none.
    """
    check_choice("weights", weights, _FILES)
    path = locate(path)
    file = path / _FILES[weights] if path.is_dir() else path
    if not file.is_file():
        what = f"a run without {_FILES[weights]}" if path.is_dir() else "not there"
        raise InputError(
            f"No model to load: {path} is {what}. Give the folder of a finished run, a .keras or "
            ".h5 file, or the folder of a SavedModel."
        )
    return file


def load_keras(file: Path) -> keras.Model:
    """The model in a file of Keras, as it was saved.

    Raises:
        InputError: It cannot be read.
    """
    # Registers the project's own layers, if a model uses any.
    import lsp_keras.models  # noqa: F401

    if file.suffix not in MODEL_SUFFIXES:
        raise InputError(f"A model file must end in {', '.join(MODEL_SUFFIXES)}. Received: {file}.")
    try:
        check_archive(file)
        model: Any = keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras passes on whatever the file's contents raise.
        raise InputError(
            f"{file} could not be read as a Keras model: {first_line(error)} A model of your own "
            "classes or functions can be read as a SavedModel: write one with model.export(FOLDER)."
        ) from error
    return model
