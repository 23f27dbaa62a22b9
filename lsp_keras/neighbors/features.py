"""What neighbors are searched in: one row of float32 features for each image."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsp_keras.storage import fingerprint
from lsp_keras.types import Examples, Floats, Progress
from lsp_keras.validation import InputError

Encode = Callable[[Floats], Any]


@dataclass(frozen=True)
class FeatureSource:
    """Where the features of images come from.

    Attributes:
        name: Name for the provenance, for example `"pixels"` or the encoder's file name.
        fingerprint: Text that differs where the features would differ; part of a table's cache key.
        encode: Function that maps float32 images in [0, 1] to features; `None` for pixels and
            embeddings.
        embeddings: Features of the images, row by row, or `None`.
    """

    name: str = "pixels"
    fingerprint: str = "pixels"
    encode: Encode | None = None
    embeddings: npt.NDArray[Any] | None = None


def embeddings_source(
    embeddings: npt.NDArray[Any], train: Examples, num_source: int
) -> FeatureSource:
    """Features that the user computed.

    Args:
        embeddings: Embeddings `(n, dimensions)`: one row for each image of `train`, or one for each
            image of the source's whole training split in its own order.
        train: Training images.
        num_source: Images of the source's whole training split.

    Raises:
        InputError: The number of rows is neither.
    """
    if len(embeddings) == num_source:
        embeddings = embeddings[train.indices]
    if len(embeddings) != len(train):
        raise InputError(
            f"The embeddings must have one row for each of the {len(train)} training images, or "
            f"for each of the {num_source} images of the whole training split. "
            f"Received: {len(embeddings)} rows."
        )
    return FeatureSource("embeddings", fingerprint(embeddings), embeddings=embeddings)


# The features, and an index that holds them once more.
_COPIES = 2
_CHUNK_ROWS = 4096
_SAMPLE_ROWS = 2048
# Relative differences below which features of that type are equal but for rounding.
_TOLERANCES = {"float64": 1e-12}


def silent(stage: str, done: int, total: int) -> None:
    """The progress callable that reports nothing."""


def image_features(
    images: npt.NDArray[Any],
    encode: Encode | None = None,
    *,
    batch_size: int = 512,
    progress: Progress | None = None,
) -> Floats:
    """Features of images, computed chunk by chunk.

    Args:
        images: Images or feature rows, `(n, ...)`; uint8 is scaled to [0, 1], anything else is
            taken as it is.
        encode: Function that maps float32 images `(batch, height, width, channels)` to features
            `(batch, dimensions)`, in inference mode; a Keras model will do. Without it the pixels
            themselves are the features.
        batch_size: Images per call.
        progress: Function that is called with `("encode", done, total)`.

    Returns:
        float32 `(n, dimensions)`.
    """
    report = progress or silent
    features: Floats = np.empty((0, 0), np.float32)
    for start in range(0, len(images), batch_size):
        chunk = _scaled(images[start : start + batch_size])
        encoded = np.asarray(encode(chunk) if encode else chunk).reshape(len(chunk), -1)
        if start == 0:
            check_memory(len(images) * encoded.shape[1])
            features = np.empty((len(images), encoded.shape[1]), np.float32)
        features[start : start + len(chunk)] = encoded
        report("encode", start + len(chunk), len(images))
    return features


def check_memory(num_numbers: int) -> None:
    """Refuses features that would not fit beside the index made of them.

    Args:
        num_numbers: Number of float32 values, over all images.

    Raises:
        InputError: They need more memory than there is.
    """
    needed, free = _COPIES * 4 * num_numbers, available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"Features and their index take {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB "
            "are free. Search among fewer numbers: with an encoder (--encoder, or none named in "
            "`fit`), on smaller images (--image-size), or on fewer of them (--num-train)."
        )


def available_memory() -> int | None:
    """Bytes that a new array may take; `None` where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            name, _, amount = line.partition(":")
            if name == "MemAvailable":
                return 1024 * int(amount.split()[0])
    return None


def own_features(embeddings: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of the user's features `(n, ...)` as rows that `prepare` may overwrite.

    float64 stays: what the small differences of large values say would be lost in float32.
    """
    rows = np.asarray(embeddings)
    kind = np.float64 if rows.dtype == np.float64 else np.float32
    return np.array(rows, kind).reshape(len(rows), -1)


class Prepared(NamedTuple):
    """Features as an index takes them.

    Attributes:
        features: Features around zero and of moderate size, float32 `(n, dimensions)`.
        scale: A power of two: distances of the given features are these ones times it, exactly.
    """

    features: Floats
    scale: float


def prepare(given: npt.NDArray[Any], *, normalize: bool) -> Prepared:
    """Checks features, centers and scales them, chunk by chunk.

    An index computes distances from dot products in float32, in which features far from zero, or
    far smaller or larger than one, drown in rounding errors. Shifting and scaling by a common
    factor change no order of distances. Medians say by how much, so that outliers have no say.

    Args:
        given: Features, `(n, dimensions)`; those of float32 are overwritten.
        normalize: Whether to divide each row by its Euclidean norm first; a row of zeros stays.

    Raises:
        InputError: A value is not finite, or all rows are equal (a collapsed encoder), so that
            no image is nearer than any other.
    """
    tolerance = _TOLERANCES.get(given.dtype.name, 1e-6)
    features = given if given.dtype == np.float32 else np.empty(given.shape, np.float32)
    center, scale = _middle(given, normalize)
    first = _rows(given[:1], normalize)
    collapsed = len(given) > 1
    for start in range(0, len(given), _CHUNK_ROWS):
        rows = _rows(given[start : start + _CHUNK_ROWS], normalize)
        collapsed = collapsed and bool(np.allclose(rows, first, rtol=tolerance, atol=0))
        features[start : start + _CHUNK_ROWS] = (rows - center) / scale
    if collapsed:
        raise InputError(
            "All images have the same features, so none has neighbors: the encoder has collapsed. "
            "Train it again (a lower learning rate helps) or use --features pixels."
        )
    return Prepared(features, scale)


def _middle(given: npt.NDArray[Any], normalize: bool) -> tuple[npt.NDArray[np.float64], float]:
    """Median of some rows, and the power of two nearest to their median distance from it."""
    chosen = np.random.default_rng(0).permutation(len(given))[:_SAMPLE_ROWS]
    rows = _rows(given[np.sort(chosen)], normalize)
    center = np.median(rows, axis=0)
    distances = np.linalg.norm(rows - center, axis=1)
    distances = distances[distances > 0]
    if not len(distances):
        return center, 1.0
    return center, float(2.0 ** np.round(np.log2(np.median(distances))))


def _rows(given: npt.NDArray[Any], normalize: bool) -> npt.NDArray[np.float64]:
    """Some rows in float64, divided by their norms if they are to be."""
    rows = given.astype(np.float64)
    if not np.isfinite(rows).all():
        raise InputError("The features contain NaN or infinity. Choose another encoder.")
    if normalize:
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        np.divide(rows, norms, out=rows, where=norms > 0)
    return rows


def _scaled(images: npt.NDArray[Any]) -> Floats:
    if images.dtype == np.uint8:
        return np.divide(images, 255, dtype=np.float32)
    return images.astype(np.float32, copy=False)
