"""Features that several processes compute, each for a share of the images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npy
from lsp_keras.neighbors.features import FeatureSource, image_features
from lsp_keras.shards import Shard, dealt_together
from lsp_keras.storage import atomic_path, fingerprint
from lsp_keras.storage import cache_dir as default_cache_dir
from lsp_keras.stored_images import StoredImages
from lsp_keras.types import Progress
from lsp_keras.validation import InputError


def write_feature_shard(
    images: npt.NDArray[Any] | StoredImages,
    source: FeatureSource,
    shard: Shard,
    *,
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Computes a shard's features and keeps them in the cache, where `with_feature_shards` looks.

    Args:
        images: All training images.
        source: Feature source with an encoder.
        shard: Which share of the images is encoded.
        cache_dir: Folder of the cache. Default: the user's.
        progress: Function that is called with `("encode", done, total)`.

    Raises:
        InputError: There is no encoder, or there are fewer images than shards.
    """
    if source.encode is None:
        raise InputError("--shard is for an --encoder: pixels and embeddings are there already.")
    rows = shard.rows(len(images))
    if not len(rows):
        raise InputError(f"{len(images)} images cannot be dealt out to {shard.count} shards.")
    chosen: Any = images.taken(rows) if isinstance(images, StoredImages) else images[rows]
    features = image_features(chosen, source.encode, progress=progress)
    path = _folder(images, source, cache_dir) / f"{shard.index}-of-{shard.count}.npy"
    with atomic_path(path) as temporary:
        np.save(temporary, features)
    return path


def with_feature_shards(
    images: npt.NDArray[Any] | StoredImages,
    source: FeatureSource,
    *,
    cache_dir: Path | str | None = None,
) -> FeatureSource:
    """The source with the features that shards computed; itself where there are none.

    Args:
        images: All training images.
        source: Feature source with the shards' encoder.
        cache_dir: Where the shards were told to keep them.

    Raises:
        InputError: Some shards are missing or damaged, or they are of different numbers.
    """
    if source.encode is None:
        return source
    folder = _folder(images, source, cache_dir)
    found = {path.name for path in folder.glob("*-of-*.npy")}
    if not found:
        return source
    counts = {int(name.removesuffix(".npy").split("-of-")[1]) for name in found}
    count = max(counts)
    names = [f"{index}-of-{count}.npy" for index in range(count)]
    missing = [name for name in names if name not in found]
    if missing or len(counts) > 1:
        what = f"are missing: {', '.join(missing)}" if missing else "are of different numbers"
        raise InputError(f"Shards of the features in {folder} {what}. Make them, or remove it.")
    parts = [
        _read_shard(folder / name, len(Shard(index, count).rows(len(images))))
        for index, name in enumerate(names)
    ]
    return replace(source, encode=None, embeddings=dealt_together(parts))


def _read_shard(path: Path, rows: int) -> npt.NDArray[Any]:
    try:
        return read_npy(path, ArraySpec(kinds="f", ndim=2, rows=rows))
    except ArrayFileError as error:
        raise InputError(
            f"The shard of features {path} is no use: {error}. Make it again by mine --shard, or "
            "remove its folder."
        ) from error


def _folder(
    images: npt.NDArray[Any] | StoredImages, source: FeatureSource, cache_dir: Path | str | None
) -> Path:
    key = fingerprint(fingerprint(images), source.fingerprint)
    return default_cache_dir(cache_dir) / "features" / key
