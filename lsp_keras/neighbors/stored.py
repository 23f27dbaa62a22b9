"""Features of the training images, in half precision on disk beside their neighbor table.

Neighbors that are looked for in a batch need the features in every step. A memory map brings
the rows of one batch, whatever the size of the whole.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npy
from lsp_keras.neighbors.cache import table_path
from lsp_keras.neighbors.features import (
    FeatureSource,
    image_features,
    own_features,
    prepare,
)
from lsp_keras.neighbors.mining import MiningSettings
from lsp_keras.storage import atomic_path
from lsp_keras.types import Floats, Progress
from lsp_keras.validation import InputError

logger = logging.getLogger(__name__)

StoredFeatures = npt.NDArray[np.float16]

_SUFFIX = ".features.npy"
# Half precision ends at 65504.
_LARGEST = 2.0**14


def features_path(table: Path | str) -> Path:
    """Where the features of a table's images are kept: beside its file."""
    table = Path(table)
    return table.with_name(table.name.removesuffix(".npz") + _SUFFIX)


def save_features(path: Path, features: Floats) -> None:
    """Writes features in half precision.

    Features of very large values are divided by a power of two: only ratios of distances are
    used.

    Args:
        path: An .npy file.
        features: Features of all images, float32 `(n, dimensions)`.
    """
    largest = float(np.abs(features).max(initial=0.0))
    scale = 2.0 ** -np.ceil(np.log2(largest / _LARGEST)) if largest > _LARGEST else 1.0
    with atomic_path(path) as temporary:
        np.save(temporary, (features * np.float32(scale)).astype(np.float16))


def load_features(path: Path | str, num_images: int) -> StoredFeatures:
    """The features, memory-mapped.

    Args:
        path: Path of the features, as `features_path` says.
        num_images: Images that the rows must stand for.

    Raises:
        InputError: The file is missing, damaged, or of other images.
    """
    try:
        features = read_npy(path, ArraySpec(), mapped=True)
    except ArrayFileError as error:
        raise InputError(
            f"There are no stored features at {path}: {error}. `lsp-keras mine --keep-features "
            "--output TABLE.npz` keeps them beside a table."
        ) from error
    if features.dtype != np.float16 or features.ndim != 2 or len(features) != num_images:
        raise InputError(
            f"{path} does not hold features of these {num_images} images: it is {features.dtype} "
            f"of shape {features.shape}."
        )
    return features


def find_features(
    images: npt.NDArray[Any],
    settings: MiningSettings | None = None,
    features: FeatureSource | None = None,
    *,
    space: str = "local",
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> StoredFeatures:
    """The features that `find_or_mine` searches in; computed and kept where they are not yet.

    They are centered and scaled by a power of two, as they are for the search.

    Args:
        images: Training images `(n, height, width, channels)`.
        settings: Settings of `find_or_mine`; the table of the same arguments lies beside.
        features: Features, as `find_or_mine` takes them.
        space: Space of the neighbors, as `find_or_mine` takes it.
        cache_dir: Folder of the cache.
        progress: Function that is called with `("encode", done, total)`.

    Returns:
        float16 `(n, dimensions)`, memory-mapped. A damaged file is made again, with a warning.

    Raises:
        InputError: As `mine`.
    """
    settings, source = settings or MiningSettings(), features or FeatureSource()
    path = features_path(table_path(images, settings, source, space=space, cache_dir=cache_dir))
    if path.exists():
        try:
            return load_features(path, len(images))
        except InputError as error:
            logger.warning("They are computed again: %s", error)
    if source.embeddings is None:
        found = image_features(images, source.encode, progress=progress)
    else:
        found = own_features(source.embeddings)
    # Centered and scaled, they keep their differences in half precision too.
    save_features(path, prepare(found, normalize=settings.normalize).features)
    return load_features(path, len(images))
