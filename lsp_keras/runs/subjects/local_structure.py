"""The local structure of test images, as a run's LSP term would see it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lsp_keras.evaluation import LocalStructure
from lsp_keras.neighbors import FeatureSource, nearest_among
from lsp_keras.pretraining import encoder_folder
from lsp_keras.runs.features import encoder_source
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.neighbors import encoder_settings, with_known_encoder
from lsp_keras.runs.settings.config import FitConfig, config_from
from lsp_keras.types import Dataset, Images
from lsp_keras.validation import InputError

_AS_IN_TRAINING = "as in training"


def structure_of(
    values: Mapping[str, Any],
    dataset: Dataset,
    images: Images,
    *,
    cache_dir: Path | None,
    run: Path | None = None,
) -> tuple[LocalStructure | None, str]:
    """Neighbors of test images among a run's training images.

    A neighbor table knows training images only, so test images get their nearest training
    images in the same feature space: that of the run's encoder if its file or its place in the
    cache is still there, else the pixels'. Nothing is trained for it.

    Args:
        values: The run's settings, as its `config.toml` holds them.
        dataset: The run's images.
        images: Images, uint8 `(n, height, width, channels)`.
        cache_dir: Where encoders are kept; default the user's cache folder.
        run: The run's folder, which says how long its encoder was trained.

    Returns:
        The structure and how its neighbors were found; `None` and why for a run that was not
        trained with LSP.
    """
    config = config_from(values, source="config.toml")
    lsp = config.regularizers.get("lsp")
    if lsp is None or lsp["weight"] == 0:
        return None, "the model was not trained with LSP"
    if run is not None:
        config = with_known_encoder(config, RunFolder(run).dataset)
    source, remark = _features(config, dataset, cache_dir)
    pool = _pool(config, len(dataset.train))
    rows, distances = nearest_among(
        images,
        dataset.train.images[pool],
        min(config.num_neighbors, len(pool)),
        encode=source.encode,
        normalize=config.normalize_features,
    )
    structure = LocalStructure(
        neighbor_images=dataset.train.images[pool][rows],
        neighbor_distances=distances,
        weight=lsp["weight"],
        divergence=lsp["divergence"],
        normalize_logits=lsp["normalize_logits"],
    )
    which = "random" if config.space == "global" else "nearest"
    return structure, f"{which} training images, distances of {source.name}, {remark}"


def _pool(config: FitConfig, num_train: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows of the training images to choose from: for the global space a few random ones."""
    if config.space == "local":
        return np.arange(num_train)
    count = min(config.num_neighbors, num_train)
    return np.random.default_rng(config.seed).choice(num_train, count, replace=False)


def _features(
    config: FitConfig, dataset: Dataset, cache_dir: Path | None
) -> tuple[FeatureSource, str]:
    """The run's feature space, or the pixels with a remark on why."""
    if config.neighbors is not None or config.embeddings is not None:
        return FeatureSource(), "since the run's own are known for training images only"
    if config.encoder is None and config.features == "pixels":
        return FeatureSource(), _AS_IN_TRAINING
    encoder = config.encoder or (
        encoder_folder(dataset, encoder_settings(config), cache_dir) / "encoder.keras"
    )
    try:
        return encoder_source(encoder, dataset.info.image_shape), _AS_IN_TRAINING
    except InputError:
        return FeatureSource(), "since the run's encoder is not there any more"
