"""Neighbor tables that are mined once and found again."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from lsp_keras.neighbors.features import FeatureSource
from lsp_keras.neighbors.mining import MiningSettings, mine, random_neighbors
from lsp_keras.neighbors.table import load_table, save_table
from lsp_keras.processes import locked
from lsp_keras.storage import cache_dir as default_cache_dir
from lsp_keras.storage import fingerprint
from lsp_keras.types import NeighborTable, Progress
from lsp_keras.validation import InputError, check_choice

logger = logging.getLogger(__name__)

# Raised when mining would give another table for the same settings.
_VERSION = 2

SPACES: Mapping[str, Callable[..., NeighborTable]] = {"local": mine, "global": random_neighbors}


def table_path(
    images: npt.NDArray[Any],
    settings: MiningSettings,
    features: FeatureSource,
    *,
    space: str = "local",
    cache_dir: Path | str | None = None,
) -> Path:
    """Where the table of these images, settings and features is kept.

    Args:
        images: Training images.
        settings: Mining settings; `auto` counts as the index that it resolves to.
        features: Where the features come from.
        space: Kind of neighbors, `"local"` or `"global"`.
        cache_dir: Folder of the cache. Default: the user's.
    """
    resolved = dataclasses.replace(settings, index=settings.index_for(len(images)))
    key = fingerprint(_VERSION, images, dataclasses.asdict(resolved), features.fingerprint, space)
    return default_cache_dir(cache_dir) / "neighbors" / f"{key}.npz"


def find_or_mine(
    images: npt.NDArray[Any],
    settings: MiningSettings | None = None,
    features: FeatureSource | None = None,
    *,
    space: str = "local",
    source: Mapping[str, Any] | None = None,
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> NeighborTable:
    """The cached table of these images, settings and features; made where there is none.

    Args:
        images: Training images `(n, height, width, channels)`.
        settings: Settings of the mining. Default `MiningSettings()`.
        features: Features in which neighbors are looked for. Default: the pixels.
        space: Kind of neighbors: `"local"` for the nearest, `"global"` for random ones.
        source: What else to note in the provenance: dataset, split.
        cache_dir: Folder of the cache. Default: the user's.
        progress: Callback told how far mining is, as `mine` takes it.

    Returns:
        The table. A damaged file in the cache is made again, with a warning.

    Raises:
        InputError: As `mine`.
    """
    check_choice("space", space, SPACES)
    settings, features = settings or MiningSettings(), features or FeatureSource()
    path = table_path(images, settings, features, space=space, cache_dir=cache_dir)
    found = _sound_table(path, images)
    if found is not None:
        return found
    what = "The neighbor table of these images"
    with locked(path.with_suffix(".lock"), what, wait=True, announce=logger.warning):
        # Another process may have made it while this one waited.
        found = _sound_table(path, images)
        if found is not None:
            return found
        noted = {"features": features.name, "features_fingerprint": features.fingerprint}
        table = SPACES[space](
            images,
            settings,
            encode=features.encode,
            embeddings=features.embeddings,
            source={**(source or {}), **noted},
            progress=progress,
        )
        save_table(path, table)
    return table


def _sound_table(path: Path, images: npt.NDArray[Any]) -> NeighborTable | None:
    """The table in the cache; `None` where there is none or it is damaged."""
    if not path.exists():
        return None
    try:
        return load_table(path, images=images)
    except InputError as error:
        logger.warning("%s", error)
        return None
