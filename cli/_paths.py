"""Paths on the command line."""

import os
from typing import Any

import click

from lsp_keras.places import check_local, place, scheme_of


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
