"""What neighbors are searched in: one row of float32 features for each image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.storage import fingerprint
from lsp_keras.types import Floats, Split
from lsp_keras.validation import InputError

Encode = Callable[[Floats], Any]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FeatureSource:
    """Where the features of images come from.

    Attributes:
        name: For the provenance, for example `"pixels"` or the encoder's file name.
        fingerprint: Differs where the features would differ; part of a table's cache key.
        encode: Maps float32 images in [0, 1] to features; `None` for pixels and embeddings.
        embeddings: Features of the images, row by row, or `None`.
    """

    name: str = "pixels"
    fingerprint: str = "pixels"
    encode: Encode | None = None
    embeddings: npt.NDArray[Any] | None = None


def embeddings_source(embeddings: npt.NDArray[Any], train: Split, num_source: int) -> FeatureSource:
    """Features that the user computed.

    Args:
        embeddings: `(n, dimensions)`, one row for each image of `train`, or one for each image
            of the source's whole training split in its own order.
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


_CHUNK_ROWS = 4096


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
        images: `(n, ...)`; uint8 images are scaled to [0, 1], anything else is taken as it is.
        encode: Maps float32 images `(batch, height, width, channels)` to features
            `(batch, dimensions)`, in inference mode; a Keras model will do. Without it the
            pixels themselves are the features.
        batch_size: Images per call.
        progress: Called with `("encode", done, total)`.

    Returns:
        float32 `(n, dimensions)`.
    """
    report = progress or silent
    features: Floats = np.empty((0, 0), np.float32)
    for start in range(0, len(images), batch_size):
        chunk = _scaled(images[start : start + batch_size])
        encoded = np.asarray(encode(chunk) if encode else chunk).reshape(len(chunk), -1)
        if start == 0:
            features = np.empty((len(images), encoded.shape[1]), np.float32)
        features[start : start + len(chunk)] = encoded
        report("encode", start + len(chunk), len(images))
    return features


def prepare(features: Floats, *, normalize: bool) -> None:
    """Checks features and scales them in place, chunk by chunk.

    Args:
        features: float32 `(n, dimensions)`; changed.
        normalize: Whether to divide each row by its Euclidean norm; a row of zeros stays.

    Raises:
        InputError: A value is not finite, or all rows are equal (a collapsed encoder), so that
            no image is nearer than any other.
    """
    collapsed = len(features) > 1
    first = features[:1] / (np.linalg.norm(features[0]) or 1) if normalize else features[:1].copy()
    for start in range(0, len(features), _CHUNK_ROWS):
        chunk = features[start : start + _CHUNK_ROWS]
        if not np.isfinite(chunk).all():
            raise InputError("The features contain NaN or infinity. Choose another encoder.")
        if normalize:
            norms = np.linalg.norm(chunk, axis=1, keepdims=True)
            np.divide(chunk, norms, out=chunk, where=norms > 0)
        collapsed = collapsed and bool(np.allclose(chunk, first, rtol=1e-6, atol=0))
    if collapsed:
        raise InputError(
            "All images have the same features, so none has neighbors: the encoder has collapsed. "
            "Train it again (a lower learning rate helps) or use --features pixels."
        )


def _scaled(images: npt.NDArray[Any]) -> Floats:
    if images.dtype == np.uint8:
        return np.divide(images, 255, dtype=np.float32)
    return images.astype(np.float32, copy=False)
