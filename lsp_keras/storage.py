"""Files that are whole or absent, a cache folder, and fingerprints of what results depend on."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsp_keras.places import check_local
from lsp_keras.processes import is_abandoned, process_mark
from lsp_keras.validation import InputError

_LONGEST_RECORD = 2**28
TEMPORARY_PREFIX = ".tmp-"


@contextlib.contextmanager
def atomic_path(path: Path | str, *, replace: bool = True) -> Iterator[Path]:
    """A temporary name beside `path`; what was written under it takes its place at the end.

    Works for a file and for a folder that does not exist yet. After an error the temporary
    file is gone and an older `path` is untouched. Temporary files of processes that were killed
    are removed from the same folder first.

    Args:
        path: Name in the end.
        replace: Whether an older file may be replaced.

    Raises:
        FileExistsError: Somebody else made `path` in the meantime and it may not be replaced.
        InputError: The path is an address in a store.

    Example:
        >>> with atomic_path("report.json") as temporary:
        ...     _ = temporary.write_text("{}")
    """
    check_local(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    # The suffix is kept because writers such as Keras's choose the format by it.
    temporary = temporary_name(path.parent, path.suffix)
    try:
        yield temporary
        if replace:
            temporary.replace(path)
        else:
            move_new(temporary, path)
    finally:
        _remove(temporary)


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` for what is needed on the way; gone at the end."""
    check_local(parent)
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent)
    folder = temporary_name(parent, "")
    folder.mkdir()
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def own_temporary_files() -> Iterator[None]:
    """Lets all temporary files of this process lie in one folder, which is gone at the end.

    Keras unpacks every model that it loads into such files. Those of a process that was killed are
    removed by the next one.
    """
    parent = Path(tempfile.gettempdir()) / f"lsp-keras-{os.getuid()}"
    with contextlib.suppress(OSError):
        parent.mkdir(mode=0o700)
    # In a folder for everybody, somebody else may have made one of that name.
    if parent.is_symlink() or not parent.is_dir() or parent.stat().st_uid != os.getuid():
        yield
        return
    before = tempfile.tempdir
    with scratch_folder(parent) as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def move_new(source: Path, path: Path) -> None:
    """Gives a file or folder its name in the end, in one step and only if nothing has it.

    Raises:
        FileExistsError: Something has it.
    """
    if not source.is_dir():
        # Unlike a rename, a link fails where there is a file.
        os.link(source, path)
        source.unlink()
        return
    # A rename takes the place of an empty folder, and of nothing else.
    try:
        source.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        raise


def temporary_name(folder: Path, suffix: str) -> Path:
    """A name that nothing has, and that says which process made it."""
    return folder / f"{TEMPORARY_PREFIX}{process_mark()}-{secrets.token_hex(4)}{suffix}"


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files and folders that killed processes left in a folder.

    Those of processes that still run, here or on other machines, are left alone.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in list(folder.iterdir()):
            mark = path.name.removeprefix(TEMPORARY_PREFIX)
            if mark != path.name and is_abandoned(mark, path):
                _remove(path)


def write_json(path: Path | str, value: Any, *, replace: bool = True) -> None:
    """Writes `value` as indented JSON, atomically; see `atomic_path`."""
    with atomic_path(path, replace=replace) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The record in a JSON file of this package.

    Raises:
        InputError: There is none: the file is missing, damaged, or something else.
    """
    if not path.is_file():
        raise InputError(f"There is no record {path}.")
    try:
        if path.stat().st_size > _LONGEST_RECORD:
            raise ValueError("it is too long")
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("it holds no object")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no record of lsp-keras, or it is damaged: {error}.") from error
    return record


def cache_dir(path: Path | str | None = None) -> Path:
    """Where encoders, neighbor tables and large datasets are kept.

    Args:
        path: The user's choice; default `$XDG_CACHE_HOME/lsp-keras` or `~/.cache/lsp-keras`.
    """
    if path is not None:
        return Path(path)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lsp-keras"


def fingerprint(*parts: Any) -> str:
    """Hexadecimal digest (16 characters) of arrays, bytes and JSON values.

    Equal parts give equal digests on every machine; an array counts with dtype and shape, and
    images in a file count like an array of them.
    """
    from lsp_keras.stored_images import StoredImages

    if len(parts) == 1 and isinstance(parts[0], StoredImages):
        # It is known, and reading all of them takes long.
        return parts[0].fingerprint()
    return fingerprint_anew(*parts)


def fingerprint_anew(*parts: Any) -> str:
    """As `fingerprint`, of images in a file too by reading all of them."""
    # `--help` imports this module and does not wait for NumPy.
    import numpy as np

    from lsp_keras.stored_images import StoredImages

    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, StoredImages):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            for chunk in part.chunks():
                digest.update(np.ascontiguousarray(chunk).data)
        elif isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        elif isinstance(part, bytes):
            digest.update(part)
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\x00")
    return digest.hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
