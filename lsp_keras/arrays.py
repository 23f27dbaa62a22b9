"""Arrays in files that anybody may have written: headers are judged before contents are read."""

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LONGEST_HEADER = 10_000


class ArrayFileError(ValueError):
    """A file does not hold the arrays that it should; the message ends a sentence on it."""


@dataclass(frozen=True)
class ArraySpec:
    """What an array of a file must be, judged by its header.

    Attributes:
        kinds: Letters of NumPy's `dtype.kind` that are accepted.
        ndim: Number of dimensions, or `None` for any.
        rows: Length of the first dimension, or `None` for any.
    """

    kinds: str = "biufU"
    ndim: int | None = None
    rows: int | None = None

    def check(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Raises `ArrayFileError` where shape or type are others."""
        if dtype.hasobject or dtype.kind not in self.kinds:
            raise ArrayFileError(f"{name} is of type {dtype}")
        if self.ndim is not None and len(shape) != self.ndim:
            raise ArrayFileError(f"{name} has the shape {shape}, not {self.ndim} dimensions")
        if self.rows is not None and (not shape or shape[0] != self.rows):
            raise ArrayFileError(f"{name} has the shape {shape}, not {self.rows} rows")


def read_npy(path: Path | str, spec: ArraySpec, *, mapped: bool = False) -> Array:
    """The array of an .npy file, which takes no more memory than the file has bytes.

    Args:
        path: The file.
        spec: What the array must be.
        mapped: Whether its numbers stay in the file, mapped into memory, until they are looked at.

    Raises:
        ArrayFileError: The file is missing, damaged, no regular file, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ArrayFileError("it is no file" if path.exists() else "there is no such file")
    try:
        with path.open("rb") as file:
            shape, dtype, start = _header(file)
            spec.check("the array", shape, dtype)
            if path.stat().st_size != start + _size(shape, dtype):
                raise ArrayFileError(f"its length is not that of {shape} numbers of type {dtype}")
        if mapped:
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        return np.asarray(np.load(path, allow_pickle=False))
    except ArrayFileError:
        raise
    # Parsers of damaged bytes raise anything, tokenize.TokenError among it.
    except Exception as error:
        raise ArrayFileError(f"it cannot be read ({error})") from error


def read_npz(
    path: Path | str, specs: Mapping[str, ArraySpec] | None, *, most_bytes: int | None = None
) -> dict[str, Array]:
    """The arrays of an .npz file.

    Args:
        path: The file.
        specs: What each array must be; all of them must be there. `None` takes what there is.
        most_bytes: Memory that all arrays together may take. Default the length of the file, for
            files that are not compressed.

    Raises:
        ArrayFileError: The file is missing, damaged, no regular file, too large once it is
            unpacked, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise ArrayFileError("it is no file" if path.exists() else "there is no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            names = _check_members(archive, specs, most_bytes or path.stat().st_size)
        with np.load(path, allow_pickle=False) as content:
            return {name: np.asarray(content[name]) for name in names}
    except ArrayFileError:
        raise
    # Parsers of damaged bytes raise anything, tokenize.TokenError among it.
    except Exception as error:
        raise ArrayFileError(f"it cannot be read ({error})") from error


def check_archive(path: Path, *, most_ratio: float = 20.0, spare: int = 2**24) -> None:
    """Refuses a zip file that unpacks to far more than its length, as no file of weights does.

    Args:
        path: The file; one that is no zip file passes.
        most_ratio: Times its length that it may unpack to.
        spare: Bytes that it may unpack to in any case.

    Raises:
        ArrayFileError: It unpacks to more.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(info.file_size for info in archive.infolist())
    except Exception as error:
        raise ArrayFileError(f"it cannot be read ({error})") from error
    if total > max(most_ratio * path.stat().st_size, spare):
        raise ArrayFileError(f"its {path.stat().st_size:,} bytes unpack to {total:,}")


def _check_members(
    archive: zipfile.ZipFile, specs: Mapping[str, ArraySpec] | None, most_bytes: int
) -> list[str]:
    """Judges all arrays by their headers; returns the names of those that are wanted."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    wanted = dict.fromkeys(members, ArraySpec()) if specs is None else specs
    total = 0
    for name, spec in wanted.items():
        if name not in members:
            raise ArrayFileError(f"it holds no {name}")
        with archive.open(members[name]) as file:
            shape, dtype, start = _header(file)
        spec.check(name, shape, dtype)
        size = _size(shape, dtype)
        total += size
        if total > most_bytes:
            raise ArrayFileError(f"it unpacks to more than {most_bytes:,} bytes")
        if members[name].file_size != start + size:
            raise ArrayFileError(f"{name} has not the length that it states")
    return list(wanted)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and where the numbers start, from no more than the longest header."""
    buffer = io.BytesIO(file.read(_LONGEST_HEADER + 16))
    version = np.lib.format.read_magic(buffer)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ArrayFileError(f"it has the unknown version {version}")
    shape, _, dtype = read[version](buffer, max_header_size=_LONGEST_HEADER)
    if any(length < 0 for length in shape):
        raise ArrayFileError(f"it states the shape {shape}")
    return shape, dtype, buffer.tell()


def _size(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return math.prod(shape) * dtype.itemsize
