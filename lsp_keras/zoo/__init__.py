"""Trained classifiers that come with the package, each in a folder like that of a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_keras.places import check_local
from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError, listing, nearest

PREFIX = "zoo:"
_FOLDER = Path(__file__).parent
_MODEL = "model.keras"
_CARD = "card.json"


def names() -> list[str]:
    """Names of the classifiers in the zoo, sorted."""
    return sorted(path.parent.name for path in _FOLDER.glob(f"*/{_CARD}"))


def card(name: str) -> Mapping[str, Any]:
    """What is known of a classifier.

    Args:
        name: Name of the classifier, without `zoo:`.

    Returns:
        `summary` in one line, `file_fingerprint`, `licence`, `command` that trained it, and its
        accuracies.

    Raises:
        InputError: The zoo has no such classifier.
    """
    found: Mapping[str, Any] = json.loads((_folder(name) / _CARD).read_text(encoding="utf-8"))
    return found


def locate(path: Path | str) -> Path:
    """The folder of `zoo:NAME`; any other path as it is.

    Args:
        path: What a user names a model by.

    Raises:
        InputError: The zoo has no such classifier, its file is not the one that was measured, or
            the path is an address in a store.
    """
    check_local(path)
    text = str(path)
    if not text.startswith(PREFIX):
        return Path(path)
    name = text.removeprefix(PREFIX)
    folder = _folder(name)
    if fingerprint((folder / _MODEL).read_bytes()) != card(name)["file_fingerprint"]:
        raise InputError(
            f"The file of {text} is not the one that its card describes: it was changed or "
            "damaged. Install lsp-keras again."
        )
    return folder


def is_in_zoo(path: Path | None) -> bool:
    """Whether a folder belongs to the package, so that nothing may be written to it."""
    return path is not None and path.resolve().is_relative_to(_FOLDER.resolve())


def _folder(name: str) -> Path:
    if name not in names():
        raise InputError(
            f"There is no {PREFIX}{name}.{nearest(name, names())} It must be "
            f"{listing([PREFIX + item for item in names()])}; see `lsp-keras list zoo`."
        )
    return _FOLDER / name
