"""Paths on the command line."""

import os
import re
from pathlib import Path
from typing import Any

import click

from lsp_keras.places import check_local, place, scheme_of
from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError

_LONGEST, _HEAD = 60, 16


def as_file_name(text: str) -> str:
    """A text, such as the name of a dataset, as a part of a file's name.

    Example:
        >>> as_file_name("folder:../My photos@64")
        'folder_My_photos_64'
    """
    name = re.sub(r"\W+", "_", text).strip("_")
    if len(name) <= _LONGEST:
        return name
    # A name of a file may not be of any length, and two long ones must not become one.
    return f"{name[:_HEAD]}_{fingerprint(text)[:8]}_{name[_HEAD - _LONGEST :]}"


def check_suffix(option: str, path: Path | None, suffix: str) -> None:
    """Refuses, before any work is done, a file that no later command would read.

    Raises:
        InputError: Its name ends otherwise.
    """
    if path is not None and path.suffix != suffix:
        raise InputError(f"{option} must end in {suffix}. Received: {path}.")


class MachinePath(click.Path):
    """A path of this machine: an address in a store is refused, not made a folder called `gs:`."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Click's, for paths alone."""
        check_local(value)
        return super().convert(value, param, ctx)


class Place(MachinePath):
    """A path of this machine, or an address in a store."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """A `pathlib.Path`, or the address as text."""
        if scheme_of(value) is None:
            return super().convert(value, param, ctx)
        place(value)
        return str(value)
