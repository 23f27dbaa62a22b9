"""Attacked images, kept beside the verdicts on them."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import AttackResult
from lsp_keras.storage import atomic_path, scratch_folder
from lsp_keras.types import Examples

_AT_ONCE = 2**24


class AdversarialExamples:
    """One compressed `.npz` file for each attack, read without pickle.

    Each holds, for the images that the attack was run on: `indices` int64 `(n,)`, `labels`
    int64 `(n,)`, `predictions` int64 `(n,)`, `success` bool `(n,)`, `distances` float32 `(n,)`
    in the attack's norm, `clean` and `adversarial` float32 `(n, height, width, channels)`.
    No more of them than one piece of work is ever in memory: pieces are appended to files beside,
    which are packed at the end.

    Args:
        folder: Where the files go; files of the same attacks are replaced.
        scratch: Folder for what is not packed yet, see `kept_in`.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch
        self._columns: dict[str, dict[str, _Column]] = {}

    @classmethod
    @contextmanager
    def kept_in(cls, folder: Path | None) -> "Iterator[AdversarialExamples | None]":
        """Keeper of attacked images, while there are some to come; `None` without a folder."""
        if folder is None:
            yield None
            return
        with scratch_folder(folder) as scratch:
            yield cls(folder, scratch)

    def add(self, name: str, examples: Examples, result: AttackResult) -> None:
        """Adds what an attack made of some images, all floats; `name` as the report has it."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "indices": examples.indices,
            "labels": examples.labels,
            "predictions": result.logits.argmax(axis=1),
            "success": result.success,
            "distances": result.distances,
            "clean": examples.images,
            "adversarial": result.images,
        }
        stem = name.replace("/", "+")
        columns = self._columns.setdefault(
            stem, {key: _Column(self._scratch / f"{stem}.{key}") for key in arrays}
        )
        for key, array in arrays.items():
            columns[key].append(array)

    def write(self) -> list[Path]:
        """Writes all files and returns their paths."""
        return [self._write(stem, columns) for stem, columns in self._columns.items()]

    def _write(self, stem: str, columns: "dict[str, _Column]") -> Path:
        path = self._folder / f"{stem}.npz"
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(path))
            archive = stack.enter_context(zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED))
            for key, column in columns.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    column.copy_to(member)
        return path


class _Column:
    """An array that grows in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = 0
        self._header: dict[str, Any] = {}

    def append(self, rows: npt.NDArray[Any]) -> None:
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(rows).data)
        self._rows += len(rows)
        self._header = {
            "descr": np.lib.format.dtype_to_descr(rows.dtype),
            "fortran_order": False,
            "shape": (self._rows, *rows.shape[1:]),
        }

    def copy_to(self, file: IO[bytes]) -> None:
        """Writes the array as an .npy file, and removes its own."""
        np.lib.format.write_array_header_1_0(file, self._header)
        with self._path.open("rb") as rows:
            shutil.copyfileobj(rows, file, _AT_ONCE)
        self._path.unlink()
