"""From the settings of a run to the objects that carry it out."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from lsp_keras import datasets, registry
from lsp_keras.attacks.pgd import PGD
from lsp_keras.neighbors import FeatureSource, MiningSettings, find_or_mine, load_table
from lsp_keras.recipes._config import FitConfig
from lsp_keras.recipes._features import embeddings_file_source, encoder_source
from lsp_keras.regularizers.lsp import LSP
from lsp_keras.training import (
    CoupledSGD,
    PretrainSettings,
    RobustTrainer,
    ThroughputProgress,
    encoder_folder,
    find_or_pretrain,
    schedule,
)
from lsp_keras.types import Dataset, DatasetInfo, NeighborTable

PAPER_STANDARD_EPSILON = "2/255"


def resolve(config: FitConfig) -> FitConfig:
    """The settings with every default that depends on another setting filled in.

    Without adversarial training the epoch with the best robust accuracy may be an untrained
    one: a model that gives every image the same class is robust at the share of that class.
    """
    attacks = _takes_attack(config)
    validation_epsilon = config.epsilon if attacks else PAPER_STANDARD_EPSILON
    return replace(
        config,
        method=config.resolved_method,
        attack_step_size=config.attack_step_size or _quarter(config.epsilon),
        validation_epsilon=config.validation_epsilon or validation_epsilon,
        select_by=config.select_by or ("robust" if attacks else "clean"),
    )


def load_dataset(config: FitConfig, cache_dir: Path | None) -> Dataset:
    """The run's images."""
    return datasets.load(
        config.dataset,
        data_dir=config.data_dir,
        cache_dir=cache_dir,
        num_train=config.num_train,
        num_test=config.num_test,
        validation_size=config.validation_size,
        seed=config.seed,
    )


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


def build_classifier(config: FitConfig, info: DatasetInfo) -> keras.Model:
    """An untrained classifier for the dataset."""
    return registry.get("model", config.model)(
        info.num_classes,
        input_shape=info.image_shape,
        width=config.width,
        mean=info.mean,
        std=info.std,
        seed=config.seed,
    )


def build_trainer(config: FitConfig, classifier: keras.Model, total_steps: int) -> RobustTrainer:
    """The method with its regularizers, compiled."""
    arguments: dict[str, Any] = {"regularizers": _regularizers(config), "seed": config.seed}
    if _takes_attack(config):
        arguments["attack"] = PGD(
            epsilon=config.epsilon,
            step_size=config.attack_step_size,
            num_steps=config.attack_steps,
        )
    trainer: RobustTrainer = registry.get("method", config.resolved_method)(classifier, **arguments)
    optimizer = CoupledSGD(
        schedule(config.schedule, config.learning_rate, total_steps),
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    trainer.compile(optimizer, metrics=["accuracy"])
    return trainer


def build_augmentation(info: DatasetInfo) -> Any:
    """The augmentation that suits the dataset, or `None`."""
    if info.augmentation is None:
        return None
    return registry.get("augmentation", info.augmentation)()


def _regularizers(config: FitConfig) -> list[LSP]:
    if not config.lsp:
        return []
    return [
        LSP(
            weight=config.lsp_weight,
            divergence=config.divergence,
            neighbor_batch_norm=config.neighbor_batch_norm,
            neighbor_gradient=config.neighbor_gradient,
            normalize_logits=config.normalize_logits,
        )
    ]


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
    settings = PretrainSettings(
        model=config.model,
        width=config.encoder_width or config.width,
        epochs=config.encoder_epochs,
        seed=config.seed,
    )
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


def _takes_attack(config: FitConfig) -> bool:
    method = registry.get("method", config.resolved_method)
    return "attack" in inspect.signature(method).parameters


def _quarter(epsilon: str) -> str:
    """A quarter of a fraction, as text: `"8/255"` becomes `"2/255"`."""
    numerator, separator, denominator = epsilon.partition("/")
    return f"{float(numerator) / 4:g}{separator}{denominator}"
