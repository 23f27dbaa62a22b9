"""Functions and classes of the user's own, by `module:name`."""

import importlib
import sys
from pathlib import Path
from typing import Any

from lsp_keras.validation import InputError


def find_in_module(module: str, name: str, *, kind: str) -> Any:
    """What a module calls so; it is looked for in the working folder and in what is installed.

    Args:
        module: Module's name.
        name: Name of the object in it.
        kind: What messages call it, such as "function".

    Raises:
        InputError: The module cannot be imported, or has no such object.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"There is no {kind} {name!r} in a module {module!r}: {error}. It is looked for in "
            "this folder and in what is installed."
        ) from error
