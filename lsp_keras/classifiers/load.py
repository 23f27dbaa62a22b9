"""A classifier from a run's folder, a .keras file or a SavedModel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from lsp_keras.classifiers.saved_model import SavedModelClassifier, find_saved_model
from lsp_keras.validation import InputError, check_choice

_FILES = {"best": "model.keras", "last": "last.keras", "ema": "ema.keras"}


@dataclass(frozen=True)
class Classifier:
    """A loaded model and where it came from.

    Attributes:
        model: The Keras model, or a SavedModel's logits.
        path: Its file, folder or URL.
        run: The run's folder, `None` for a model outside of one.
    """

    model: Any
    path: Path | str
    run: Path | None


def load_attackable(path: Path | str, *, weights: str = "best") -> Classifier:
    """As `load_classifier`, and SavedModels too.

    Args:
        path: Folder of a run, a .keras file, or a SavedModel: its folder, or that of its
            versions, of which the newest is taken.
        weights: See `load_classifier`.

    Raises:
        InputError: There is no model there, or it cannot be read.
    """
    folder = find_saved_model(Path(path))
    if folder is not None:
        return Classifier(SavedModelClassifier(folder), folder, None)
    return load_classifier(path, weights=weights)


def load_classifier(path: Path | str, *, weights: str = "best") -> Classifier:
    """Loads the Keras model of a run, or any .keras file.

    Args:
        path: Folder of a run, or a .keras file.
        weights: Of a run: `"best"` or `"last"` epoch, or `"ema"`, the best average of weights;
            a file is what it is.

    Raises:
        InputError: There is no model there, or it cannot be read.
    """
    path = Path(path)
    check_choice("weights", weights, _FILES)
    file = path / _FILES[weights] if path.is_dir() else path
    if not file.is_file():
        what = f"a run without {_FILES[weights]}" if path.is_dir() else "not there"
        raise InputError(
            f"No model to load: {path} is {what}. Give the folder of a finished run or a "
            ".keras file."
        )
    run = file.parent if (file.parent / "config.toml").is_file() else None
    return Classifier(_read(file), file, run)


def _read(file: Path) -> Any:
    # Registers the project's own layers, if a model uses any.
    import lsp_keras.models  # noqa: F401

    if file.suffix != ".keras":
        raise InputError(f"A model file must end in .keras. Received: {file}.")
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{file} could not be read as a Keras model: {reason}") from error
