"""Finds datasets that TFDS has prepared, and prepares those that are missing."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lsp_keras.datasets._base import Folders
from lsp_keras.places import check_local
from lsp_keras.validation import InputError, nearest

_CONNECT_SECONDS = 5.0


def prepared_builder(name: str, folders: Folders, manual_file: str | None = None) -> Any:
    """The TFDS builder of a dataset whose files are ready to be read.

    It is looked for in the data folder and in the cache. What is missing is made from the
    user's own archive, or downloaded, and prepared in the data folder, or in the cache where
    the data folder is not writable.

    Args:
        name: Name of the dataset in TFDS.
        folders: Where to look, and whether to download.
        manual_file: Name of an archive that users may fetch themselves and that the builder
            takes as its argument `archive`.

    Raises:
        InputError: TFDS knows no such dataset, or it is missing and could not be prepared.
    """
    roots = search_path(folders)
    with _quiet():
        for root in roots:
            builder = _make(name, root)
            if builder.is_prepared():
                return builder
        archive = _find_archive(name, roots, manual_file)
        builder = _make(name, next(filter(_is_writable, roots), roots[-1]), archive)
        missing = functools.partial(_missing, builder, roots, manual_file)
        if archive is None and not folders.download:
            raise InputError(missing("downloading was not allowed"))
        _prepare(builder, missing)
    return builder


def search_path(folders: Folders) -> list[Path]:
    """Folders that may hold prepared datasets, in the order in which they are searched."""
    default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    check_local(default)
    return [Path(folders.data or default).expanduser(), folders.cache / "tfds"]


def _find_archive(name: str, roots: list[Path], manual_file: str | None) -> Path | None:
    """The archive, or what it was unpacked or packed again to, where users put such things."""
    if manual_file is None:
        return None
    for root in roots:
        for folder in (root / "downloads" / "manual", root / name, root):
            found = sorted(folder.glob(f"{Path(manual_file).stem}*"))
            if found:
                return found[0]
    return None


def _make(name: str, root: Path, archive: Path | None = None) -> Any:
    import tensorflow_datasets as tfds

    try:
        if archive is not None:
            return tfds.builder(name, data_dir=root, archive=archive)
        return tfds.builder(name, data_dir=root)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise InputError(
            f"TFDS knows no dataset {name!r}, and {root} holds none.{nearest(name, known)} "
            "See https://www.tensorflow.org/datasets/catalog."
        ) from error


def _prepare(builder: Any, missing: Callable[[str], str]) -> None:
    """Downloads and prepares; whatever stops it becomes one sentence."""
    import requests

    try:
        if builder.url_infos and not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            check_connection(next(iter(builder.url_infos)))
        # TFDS prints to stdout, which belongs to the results.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except InputError:
        raise
    except requests.RequestException as error:
        url = error.request.url if error.request else None
        host = urlsplit(str(url)).hostname or "the network"
        raise InputError(missing(f"no connection to {host}")) from error
    except Exception as error:
        # Builders run code of their own: anything can go wrong in them.
        raise InputError(missing(_reason(error))) from error


def _reason(error: BaseException) -> str:
    """The first error of a chain, in one line; TFDS wraps it in the whole example."""
    while error.__cause__ is not None:
        error = error.__cause__
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}"


def check_connection(url: str) -> None:
    """Fails within seconds where there is no network; TFDS itself retries for minutes.

    Raises:
        requests.RequestException: The host cannot be reached.
    """
    import requests

    requests.head(url, timeout=_CONNECT_SECONDS)


def _missing(builder: Any, roots: list[Path], manual_file: str | None, reason: str) -> str:
    """What is missing, where it was looked for and how to get it, in one sentence."""
    places = " and ".join(str(root / builder.name) for root in roots)
    manual = roots[0] / "downloads" / "manual"
    remedies = ["run this once with a network"]
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split()).rstrip(".")
        remedies = [f"put into {manual} what TFDS asks for ({instructions})"]
    if manual_file is not None:
        remedies.append(f"put {manual_file} into {manual}")
    remedies.append("name the folder that holds it prepared (--data-dir or TFDS_DATA_DIR)")
    return (
        f"Dataset {builder.name!r} is missing: it was looked for in {places} and could not be "
        f"prepared ({reason.rstrip('.')}); {', or '.join(remedies)}."
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
