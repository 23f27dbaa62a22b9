"""Images in memory as uint8, or in a memory-mapped file of the cache where they are too many."""

from pathlib import Path

import numpy as np

from lsp_keras.datasets._base import OpenSource, SourceSplit
from lsp_keras.storage import atomic_path, fingerprint
from lsp_keras.types import Images, Integers, Split
from lsp_keras.validation import InputError


def read_split(source: OpenSource, split: SourceSplit, rows: Integers) -> Split:
    """Reads these rows of a split into memory."""
    images = np.empty((len(rows), *source.image_shape), np.uint8)
    labels = np.empty(len(rows), np.int64)
    _fill(images, labels, split, rows, len(source.class_names))
    return Split(images, labels, split.positions[rows])


def map_split(source: OpenSource, split: SourceSplit, rows: Integers, folder: Path) -> Split:
    """Reads these rows of a split into a file in `folder`, once, and maps it into memory."""
    positions = split.positions[rows]
    path = folder / fingerprint(source.version, list(source.image_shape), positions)
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.mkdir()
            images = np.lib.format.open_memmap(
                temporary / "images.npy", "w+", np.uint8, (len(rows), *source.image_shape)
            )
            labels = np.empty(len(rows), np.int64)
            _fill(images, labels, split, rows, len(source.class_names))
            images.flush()
            np.save(temporary / "labels.npy", labels)
    images = np.load(path / "images.npy", mmap_mode="r")
    return Split(images, np.load(path / "labels.npy"), positions)


def _fill(
    images: Images, labels: Integers, split: SourceSplit, rows: Integers, num_classes: int
) -> None:
    """Writes what the split yields into the two arrays."""
    start = 0
    for chunk, chunk_labels in split.read(split.positions[rows]):
        stop = start + len(chunk)
        images[start:stop] = chunk
        labels[start:stop] = chunk_labels
        start = stop
    if start != len(rows):
        raise InputError(
            f"The source holds {start} of the {len(rows)} images that its info states. "
            "Prepare the data again."
        )
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise InputError(
            f"Labels must be in [0, {num_classes}). Received: {wrong.size} labels outside, "
            f"the first of them {wrong[0]}."
        )


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel on the [0, 1] scale, exactly.

    Args:
        images: uint8 `(n, height, width, channels)`, in memory or mapped.
    """
    levels = np.arange(256) / 255.0
    means, deviations = [], []
    for channel in range(images.shape[-1]):
        # Pixels have 256 levels: their counts say all, without a float copy of the images.
        counts = sum(
            np.bincount(chunk[..., channel].ravel(), minlength=256)
            for chunk in np.array_split(images, max(1, len(images) // 4096))
        )
        mean = float(np.average(levels, weights=counts))
        means.append(mean)
        deviations.append(float(np.sqrt(np.average((levels - mean) ** 2, weights=counts))))
    return tuple(means), tuple(deviations)
