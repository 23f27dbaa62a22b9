"""Loggers of others: a Keras callback by name that sees each epoch of a run."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from lsp_keras.runs.users_code import find_in_module
from lsp_keras.validation import InputError


def build_logger(
    name: str, *, folder: Path, settings: Mapping[str, Any]
) -> keras.callbacks.Callback:
    """The callback that a user named.

    Args:
        name: Class of the logger, `"module:Class"`, looked for in the working folder and in what is
            installed. Of the arguments below the class gets those that its constructor names.
        folder: Folder of the run, for a class that keeps something there.
        settings: Settings of the run by the names of their options.

    Raises:
        InputError: There is no such class, it cannot be made, or it is no Keras callback.
    """
    module, _, kind = name.partition(":")
    found = find_in_module(module, kind, kind="class")
    given = {"folder": folder, "settings": dict(settings)}
    if not (inspect.isclass(found) and issubclass(found, keras.callbacks.Callback)):
        raise InputError(f"`logger` must name a Keras callback's class. Received: {name!r}.")
    known = inspect.signature(found).parameters
    try:
        return found(**{key: value for key, value in given.items() if key in known})
    except TypeError as error:
        raise InputError(
            f"{name} could not be made: {error}. Its constructor may name `folder` and "
            "`settings`; everything else needs a default."
        ) from error
