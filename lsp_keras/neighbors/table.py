"""Neighbor tables on disk: one .npz file, read without pickle, checked against the data."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.storage import atomic_path, fingerprint
from lsp_keras.types import NeighborTable
from lsp_keras.validation import InputError

_FORMAT = "lsp-keras neighbor table 1"


def save_table(path: Path | str, table: NeighborTable) -> None:
    """Writes a table as one .npz file, atomically.

    Args:
        path: File name; `.npz` by convention.
        table: Its provenance must consist of JSON values.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            format=np.array(_FORMAT),
            indices=table.indices.astype(np.int64, copy=False),
            distances=table.distances.astype(np.float32, copy=False),
            provenance=np.array(json.dumps(dict(table.provenance), sort_keys=True)),
        )


def load_table(path: Path | str, *, images: npt.NDArray[Any] | None = None) -> NeighborTable:
    """Reads a table and refuses it where it does not belong to the images.

    Args:
        path: What `save_table` wrote.
        images: The training images that the rows must stand for, `(n, ...)`; without them only
            the file itself is checked.

    Raises:
        InputError: The file is missing, damaged or something else, or its table was made from
            other images.
    """
    table = _read(Path(path))
    problem = _inconsistency(table)
    if problem:
        raise InputError(f"The neighbor table {path} is damaged: {problem}. Mine it again.")
    if images is not None:
        check_belongs(table, images, name=f"The neighbor table {path}")
    return table


def check_belongs(
    table: NeighborTable, images: npt.NDArray[Any], *, name: str = "The neighbor table"
) -> None:
    """Raises `InputError` unless the table was made from exactly these images, in this order."""
    if len(table.indices) != len(images):
        raise InputError(
            f"{name} holds {len(table.indices)} images, but there are {len(images)} training "
            "images here. Mine again with the same dataset, --num-train, split and seed."
        )
    if table.provenance.get("images") != fingerprint(images):
        made_from = table.provenance.get("source") or "unknown"
        raise InputError(
            f"{name} was made from other images (its source: {made_from}). "
            "Mine again with the same dataset, --num-train, split and seed."
        )


def _read(path: Path) -> NeighborTable:
    if not path.is_file():
        raise InputError(f"There is no neighbor table at {path}. `lsp-keras mine` makes one.")
    try:
        with np.load(path, allow_pickle=False) as content:
            if str(content["format"]) != _FORMAT:
                raise InputError(
                    f"{path} has the format {str(content['format'])!r}; "
                    f"this version reads {_FORMAT!r}. Mine it again."
                )
            provenance = json.loads(str(content["provenance"]))
            return NeighborTable(content["indices"], content["distances"], provenance)
    except InputError:
        raise
    except (AttributeError, EOFError, KeyError, OSError, TypeError, ValueError) as error:
        raise _not_a_table(path) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise _not_a_table(path) from error


def _not_a_table(path: Path) -> InputError:
    return InputError(
        f"{path} is not a neighbor table of lsp-keras, or it is damaged. "
        "`lsp-keras mine --output FILE.npz` makes one."
    )


def _inconsistency(table: NeighborTable) -> str | None:
    """What is wrong with the table in itself, if anything."""
    indices, distances = table.indices, table.distances
    if indices.dtype != np.int64 or distances.dtype != np.float32:
        return f"its arrays are {indices.dtype} and {distances.dtype}"
    if indices.size == 0:
        return "it is empty"
    if indices.min() < 0 or indices.max() >= len(indices):
        return "it names images that it does not hold"
    if (indices == np.arange(len(indices))[:, None]).any():
        return "an image is its own neighbor"
    if not np.isfinite(distances).all() or distances.min() < 0:
        return "a distance is negative or not finite"
    return None
