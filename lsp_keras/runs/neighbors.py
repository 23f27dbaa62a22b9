"""The neighbors of a run's training images, and the features they are looked for in."""

from collections.abc import Callable
from pathlib import Path

from lsp_keras.neighbors import FeatureSource, MiningSettings, find_or_mine, load_table
from lsp_keras.pretraining import PretrainSettings, encoder_folder, find_or_pretrain
from lsp_keras.runs.config import FitConfig
from lsp_keras.runs.features import embeddings_file_source, encoder_source
from lsp_keras.training import ThroughputProgress
from lsp_keras.types import Dataset, NeighborTable


def build_table(
    config: FitConfig,
    dataset: Dataset,
    cache_dir: Path | None,
    progress: Callable[[str, int, int], None] | None,
    announce: Callable[[str], None],
) -> NeighborTable:
    """The neighbors of the training images: the user's table, or a cached or newly mined one."""
    images = dataset.train.images
    if config.neighbors is not None:
        return load_table(config.neighbors, images=images).take(config.num_neighbors)
    return find_or_mine(
        images,
        MiningSettings(
            num_neighbors=config.num_neighbors,
            normalize=config.normalize_features,
            seed=config.seed,
        ),
        _feature_source(config, dataset, cache_dir, announce),
        space=config.space,
        source={"dataset": config.dataset, "split": "train"},
        cache_dir=cache_dir,
        progress=progress,
    )


def encoder_settings(config: FitConfig) -> PretrainSettings:
    """How the encoder of a run without one of its own is trained."""
    return PretrainSettings(
        model=config.model,
        width=config.encoder_width or config.width,
        epochs=config.encoder_epochs,
        seed=config.seed,
    )


def _feature_source(
    config: FitConfig,
    dataset: Dataset,
    cache_dir: Path | None,
    announce: Callable[[str], None],
) -> FeatureSource:
    if config.embeddings is not None:
        return embeddings_file_source(config.embeddings, dataset)
    if config.encoder is None and config.features == "pixels":
        return FeatureSource()
    encoder = config.encoder or _moco_encoder(config, dataset, cache_dir, announce)
    return encoder_source(encoder, dataset.info.image_shape)


def _moco_encoder(
    config: FitConfig,
    dataset: Dataset,
    cache_dir: Path | None,
    announce: Callable[[str], None],
) -> Path:
    """The encoder of these images and settings, from the cache or trained now."""
    settings = encoder_settings(config)
    folder = encoder_folder(dataset, settings, cache_dir)
    if (folder / "encoder.json").exists():
        announce(f"Neighbors: with the encoder in {folder}.")
    else:
        announce(
            f"Neighbors: no encoder for these images and settings in {folder.parent}; training "
            f"one with MoCo v2 for {settings.epochs} epochs. (--features pixels does without.)"
        )
    return find_or_pretrain(
        dataset,
        settings,
        cache_dir=cache_dir,
        callbacks=[ThroughputProgress(len(dataset.train))],
    )
