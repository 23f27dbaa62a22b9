"""Finds datasets that TFDS has prepared, and prepares those that are missing."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lsp_keras.datasets._base import Folders
from lsp_keras.validation import InputError, nearest

_CONNECT_SECONDS = 5.0


def prepared_builder(
    name: str, folders: Folders, make: Callable[[str, Path], Any] | None = None
) -> Any:
    """The TFDS builder of a dataset whose files are ready to be read.

    It is looked for in the data folder and in the cache. What is missing is downloaded to the
    data folder, or to the cache where the data folder is not writable.

    Args:
        name: As TFDS knows it.
        folders: Where to look, and whether to download.
        make: Makes the builder of that name in a folder; default `tfds.builder`.

    Raises:
        InputError: TFDS knows no such dataset, or it is missing and could not be downloaded.
    """
    make = make or _tfds_builder
    roots = search_path(folders)
    with _quiet():
        for root in roots:
            builder = make(name, root)
            if builder.is_prepared():
                return builder
        builder = make(name, next(filter(_is_writable, roots), roots[-1]))
        if not folders.download:
            raise InputError(_missing(builder, roots, "downloading was not allowed"))
        _prepare(builder, roots)
    return builder


def search_path(folders: Folders) -> list[Path]:
    """Folders that may hold prepared datasets, in the order in which they are searched."""
    default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    return [Path(folders.data or default).expanduser(), folders.cache / "tfds"]


def _tfds_builder(name: str, root: Path) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=root)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise InputError(
            f"TFDS knows no dataset {name!r}, and {root} holds none.{nearest(name, known)} "
            "See https://www.tensorflow.org/datasets/catalog."
        ) from error


def _prepare(builder: Any, roots: list[Path]) -> None:
    """Downloads and prepares; whatever stops it becomes one sentence."""
    import requests

    try:
        _check_connection(builder)
        # TFDS prints to stdout, which belongs to the results.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except requests.RequestException as error:
        url = error.request.url if error.request else None
        host = urlsplit(str(url)).hostname or "the network"
        raise InputError(_missing(builder, roots, f"no connection to {host}")) from error
    except Exception as error:
        # Builders run code of their own: anything can go wrong in them.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(_missing(builder, roots, reason)) from error


def _check_connection(builder: Any) -> None:
    """Fails within seconds where there is no network; TFDS itself retries for minutes."""
    import requests

    urls = list(builder.url_infos or {})
    if urls and not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        requests.head(urls[0], timeout=_CONNECT_SECONDS)


def _missing(builder: Any, roots: list[Path], reason: str) -> str:
    """What is missing, where it was looked for and how to get it, in one sentence."""
    places = " and ".join(str(root / builder.name) for root in roots)
    remedy = "run this once with a network"
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split()).rstrip(".")
        remedy = f"put into {roots[0] / 'downloads' / 'manual'} what TFDS asks for ({instructions})"
    return (
        f"Dataset {builder.name!r} is missing: it was looked for in {places} and could not be "
        f"downloaded ({reason.rstrip('.')}); {remedy}, or name the folder that holds it prepared "
        "with --data-dir, `data_dir` or TFDS_DATA_DIR."
    )


def _is_writable(folder: Path) -> bool:
    """Whether the folder can be written, or made where it does not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS from warning of folders that do not exist: looking there is the intention."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
