"""Files of a zip archive, a tar archive or a folder, read alike."""

import contextlib
import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lsp_keras.validation import InputError

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class Archive(NamedTuple):
    """What an archive holds.

    Attributes:
        path: Where it lies.
        names: Names of all files, with slashes, in the archive's order.
        read: Content of the file of that name.
    """

    path: Path
    names: list[str]
    read: Callable[[str], bytes]


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Opens a `.zip`, a `.tar`, compressed or not, or a folder.

    Names start with the folder's own name, as they do where that folder was packed.

    Raises:
        InputError: It is none of these, or it is damaged.
    """
    try:
        if path.is_dir():
            yield _folder(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as zipped:
                yield Archive(path, zipped.namelist(), zipped.read)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as packed:
                yield _tar(path, packed)
        else:
            raise InputError(f"{path} is neither a zip nor a tar archive. Download it again.")
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged ({error}). Download it again.") from error


def _folder(path: Path) -> Archive:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    names = [file.relative_to(path.parent).as_posix() for file in files]
    return Archive(path, names, lambda name: (path.parent / name).read_bytes())


def _tar(path: Path, packed: tarfile.TarFile) -> Archive:
    members = {member.name: member for member in packed if member.isfile()}

    def read(name: str) -> bytes:
        file = packed.extractfile(members[name])
        # Regular files, which these are, always have content.
        return file.read() if file else b""

    return Archive(path, list(members), read)
