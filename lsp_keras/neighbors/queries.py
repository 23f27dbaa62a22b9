"""Neighbors of images that are in no table, such as test images, among those that are."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lsp_keras.neighbors.features import image_features
from lsp_keras.types import Floats, Integers

_CHUNK = 2048


def nearest_among(
    images: npt.NDArray[np.uint8],
    others: npt.NDArray[np.uint8],
    num_neighbors: int,
    *,
    encode: Callable[[Floats], npt.ArrayLike] | None = None,
    normalize: bool = True,
) -> tuple[Integers, Floats]:
    """For each image the nearest of the others, by Euclidean distance of their features.

    As `mine` finds neighbors of training images among themselves, exactly
    and chunk by chunk, so that the others' features need not fit into memory.

    Args:
        images: Images that are not among the others, uint8 `(n, height, width, channels)`.
        others: Images among which neighbors are looked for, uint8 `(k, height, width, channels)`.
        num_neighbors: Number of neighbors to count, at most `k`.
        encode: Function that maps float32 images in [0, 1] to features; `None` for the pixels.
        normalize: Whether features are divided by their length first.

    Returns:
        int64 rows of `others` and float32 distances, both `(n, num_neighbors)`, nearest first.
    """
    queries = _features(images, encode, normalize)
    rows = np.empty((len(images), 0), np.int64)
    distances = np.empty((len(images), 0), np.float32)
    for start in range(0, len(others), _CHUNK):
        candidates = _features(others[start : start + _CHUNK], encode, normalize)
        rows = np.hstack([rows, np.tile(np.arange(len(candidates)) + start, (len(images), 1))])
        distances = np.hstack([distances, _distances(queries, candidates)])
        order = np.argsort(distances, axis=1, kind="stable")[:, :num_neighbors]
        rows = np.take_along_axis(rows, order, axis=1)
        distances = np.take_along_axis(distances, order, axis=1)
    return rows, distances


def _features(
    images: npt.NDArray[np.uint8],
    encode: Callable[[Floats], npt.ArrayLike] | None,
    normalize: bool,
) -> Floats:
    features = image_features(images, encode)
    if normalize:
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        features = np.divide(features, lengths, out=features, where=lengths > 0)
    return features


def _distances(queries: Floats, candidates: Floats) -> Floats:
    """Euclidean, `(len(queries), len(candidates))`, computed in float64 against cancellation."""
    first, second = queries.astype(np.float64), candidates.astype(np.float64)
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2.0 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0)).astype(np.float32)
