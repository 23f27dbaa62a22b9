"""Images in memory as uint8, or in memory-mapped files of the cache where they are too many."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npy
from lsp_keras.datasets._base import OpenSource, SourceSplit
from lsp_keras.processes import locked
from lsp_keras.storage import atomic_path, fingerprint
from lsp_keras.stored_images import StoredImages
from lsp_keras.types import Examples, Images, Integers
from lsp_keras.validation import InputError

logger = logging.getLogger(__name__)

_CHUNK = 4096


def read_parts(source: OpenSource, split: SourceSplit, parts: Sequence[Integers]) -> list[Examples]:
    """Reads several parts of a split into memory in one pass.

    Args:
        source: What the split belongs to.
        split: Where the images are.
        parts: Rows of each part, in the order in which it holds them; no row is in two parts.

    Raises:
        InputError: Labels are out of range, or images are missing.
    """

    def allocate(index: int) -> Images:
        return np.empty((len(parts[index]), *source.image_shape), np.uint8)

    return _read(source, split, parts, allocate)


def stored_parts(
    source: OpenSource, split: SourceSplit, parts: Sequence[Integers]
) -> list[Examples]:
    """As `read_parts`, with the images left where they are stored."""
    if split.stored is None:
        raise ValueError("The split's images must be read.")
    for rows in parts:
        _check_labels(split.labels[rows], len(source.class_names))
    return [
        Examples(split.stored(rows), split.labels[rows], split.positions[rows]) for rows in parts
    ]


def map_parts(
    source: OpenSource, split: SourceSplit, parts: Sequence[Integers], folder: Path
) -> list[Examples]:
    """As `read_parts`, with the images in memory-mapped files that are written once."""
    key = fingerprint(source.version, list(source.image_shape), *parts)
    path = folder / key
    found = _mapped(source, split, parts, path)
    if found is not None:
        return found
    lock = folder / f"{key}.lock"
    with locked(lock, "The images in the cache", wait=True, announce=logger.warning):
        # Another process may have written them while this one waited.
        found = _mapped(source, split, parts, path)
        if found is None:
            shutil.rmtree(path, ignore_errors=True)
            with atomic_path(path) as temporary:
                _write_parts(source, split, parts, temporary)
            found = _mapped(source, split, parts, path)
    if found is None:
        raise InputError(f"The images that were written to {path} cannot be read there.")
    return found


def _mapped(
    source: OpenSource, split: SourceSplit, parts: Sequence[Integers], path: Path
) -> list[Examples] | None:
    """The parts in their files; `None` where a file is missing or damaged."""
    if not path.exists():
        return None
    splits = []
    for index, rows in enumerate(parts):
        spec = ArraySpec(rows=len(rows))
        try:
            images = read_npy(path / f"images_{index}.npy", spec, mapped=True)
            labels = read_npy(path / f"labels_{index}.npy", spec)
            if images.dtype != np.uint8 or images.shape[1:] != source.image_shape:
                raise ArrayFileError(f"it holds {images.dtype} of the shape {images.shape}")
            if labels.dtype != np.int64 or labels.ndim != 1:
                raise ArrayFileError(f"its labels are {labels.dtype} of the shape {labels.shape}")
        except ArrayFileError as error:
            logger.warning("Images in %s are damaged and read again: %s", path, error)
            return None
        splits.append(Examples(images, labels, split.positions[rows]))
    return splits


def _write_parts(
    source: OpenSource, split: SourceSplit, parts: Sequence[Integers], folder: Path
) -> None:
    folder.mkdir()

    def allocate(index: int) -> Images:
        shape = (len(parts[index]), *source.image_shape)
        return np.lib.format.open_memmap(folder / f"images_{index}.npy", "w+", np.uint8, shape)

    for index, part in enumerate(_read(source, split, parts, allocate)):
        np.save(folder / f"labels_{index}.npy", part.labels)


def _read(
    source: OpenSource,
    split: SourceSplit,
    parts: Sequence[Integers],
    allocate: Callable[[int], Images],
) -> list[Examples]:
    results = [
        Examples(allocate(index), np.empty(len(rows), np.int64), split.positions[rows])
        for index, rows in enumerate(parts)
    ]
    wanted = np.sort(np.concatenate(parts))
    # Where each of a part's rows stands, from the lowest row on: sources are read in their order.
    places = [np.argsort(rows) for rows in parts]
    num_read = 0
    for images, labels in split.read(split.positions[wanted]):
        _check_labels(labels, len(source.class_names))
        rows_here = wanted[num_read : num_read + len(labels)]
        for rows, order, result in zip(parts, places, results, strict=True):
            start, stop = np.searchsorted(rows[order], (rows_here[0], rows_here[-1] + 1))
            here = order[start:stop]
            chosen = np.isin(rows_here, rows[here], assume_unique=True)
            result.images[here] = images[chosen]
            result.labels[here] = labels[chosen]
        num_read += len(labels)
    if num_read != len(wanted):
        raise InputError(
            f"Only {num_read} of {len(wanted)} images could be read: the files do not hold what "
            "their info states. Prepare the data again."
        )
    return results


def _check_labels(labels: Integers, num_classes: int) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise InputError(
            f"Labels must be in [0, {num_classes}). Received: {wrong[0]}, for one. "
            "Are these images without labels?"
        )


def channel_statistics(
    images: Images | StoredImages,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel on the [0, 1] scale, exactly.

    Args:
        images: Images, uint8 `(n, height, width, channels)`, in memory, mapped or in files.
    """
    # Pixels have 256 levels: counting them says all, without a float copy of the images.
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        for channel, channel_counts in enumerate(counts):
            channel_counts += np.bincount(chunk[..., channel].ravel(), minlength=256)
    levels = np.arange(256) / 255.0
    shares = counts / counts.sum(axis=1, keepdims=True)
    means = shares @ levels
    deviations = np.sqrt(np.sum(shares * (levels - means[:, np.newaxis]) ** 2, axis=1))
    return tuple(means.tolist()), tuple(deviations.tolist())
