"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def data_options(command: Command) -> Command:
    """Adds `--data-dir` and `--cache-dir`: the command gets `data_dir` and `cache_dir`."""
    data = click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="TFDS_DATA_DIR",
        show_envvar=True,
        help="Folder of prepared TFDS datasets.  [default: ~/tensorflow_datasets]",
    )
    return data(cache_option(command))


def cache_option(command: Command) -> Command:
    """Adds `--cache-dir`: the command gets `cache_dir`."""
    cache = click.option(
        "--cache-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for what is made once and used again.  [default: ~/.cache/lsp-keras]",
    )
    return cache(command)
