"""Neighbor tables on disk: one .npz file, read without pickle, checked against the data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npz
from lsp_keras.storage import atomic_path, fingerprint
from lsp_keras.types import NeighborTable
from lsp_keras.validation import InputError

_FORMAT = "lsp-keras neighbor table 1"
_TEXT, _NUMBERS = ArraySpec(kinds="U", ndim=0), ArraySpec(kinds="iuf", ndim=2)
_SPECS = {"indices": _NUMBERS, "distances": _NUMBERS, "provenance": _TEXT}
# A thousand neighbors of each image, and where their number is unknown of so many images.
_BYTES_PER_IMAGE, _MOST_IMAGES = 12_000, 100_000
_LEAST_LIMIT = 2**26


def save_table(path: Path | str, table: NeighborTable) -> None:
    """Writes a table as one .npz file, atomically.

    Args:
        path: File name; `.npz` by convention.
        table: Table whose provenance consists of JSON values.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            format=np.array(_FORMAT),
            indices=table.indices.astype(np.int64, copy=False),
            distances=table.distances.astype(np.float32, copy=False),
            provenance=np.array(json.dumps(dict(table.provenance))),
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
    table = _read(Path(path), None if images is None else len(images))
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


def _read(path: Path, num_images: int | None) -> NeighborTable:
    if not path.exists():
        raise InputError(f"There is no neighbor table at {path}. `lsp-keras mine` makes one.")
    try:
        form = read_npz(path, {"format": _TEXT}, most_bytes=_LEAST_LIMIT)["format"]
        if str(form) != _FORMAT:
            raise InputError(
                f"{path} has the format {str(form)!r}; "
                f"this version reads {_FORMAT!r}. Mine it again."
            )
        limit = max(_LEAST_LIMIT, _BYTES_PER_IMAGE * (num_images or _MOST_IMAGES))
        content = read_npz(path, _SPECS, most_bytes=limit)
        provenance = json.loads(str(content["provenance"]))
        if not isinstance(provenance, dict):
            raise ArrayFileError("its provenance is no record")
        return NeighborTable(content["indices"], content["distances"], provenance)
    except InputError:
        raise
    except (ArrayFileError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not a neighbor table of lsp-keras, or it is damaged: {error}. "
            "`lsp-keras mine --output FILE.npz` makes one."
        ) from error


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
