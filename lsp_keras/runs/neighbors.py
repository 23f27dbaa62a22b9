"""The neighbors of a run's training images, and the features they are looked for in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lsp_keras.neighbors import (
    BatchMix,
    Contrast,
    FeatureSource,
    GroupedOrder,
    MiningSettings,
    features_path,
    find_features,
    find_or_mine,
    load_features,
    load_table,
)
from lsp_keras.neighbors.batches import nearest_in_batch
from lsp_keras.neighbors.stored import StoredFeatures
from lsp_keras.pretraining import (
    PUBLISHED_EPOCHS,
    PretrainSettings,
    encoder_folder,
    find_or_pretrain,
)
from lsp_keras.regularizers import FEATURES, LSP, NEIGHBORS, Regularizer
from lsp_keras.runs.features import embeddings_file_source, encoder_source
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.units import is_foreign
from lsp_keras.storage import read_json
from lsp_keras.training import ThroughputProgress
from lsp_keras.types import Dataset, Floats, NeighborTable, Progress
from lsp_keras.validation import InputError

_BATCHES_SEEN = 30


@dataclass(frozen=True)
class RunNeighbors:
    """What the batches of a run need to know of who is near whom.

    Attributes:
        table: Neighbors whose images batches bring; `None` where no regularizer needs them.
        features: Features that batches bring, likewise.
        order: Order of the images by epoch; `None` for a random one.
        record: What is noted of the run's neighbors, `None` where it needs none.
        contrast: Contrast of the targets; `None` without LSP, or with its kernel.
    """

    table: NeighborTable | None = None
    features: StoredFeatures | None = None
    order: GroupedOrder | None = None
    record: dict[str, Any] | None = None
    contrast: Contrast | None = None


def build_neighbors(
    config: FitConfig,
    dataset: Dataset,
    regularizers: Sequence[Regularizer],
    *,
    cache_dir: Path | None,
    progress: Progress | None,
    announce: Callable[[str], None],
) -> RunNeighbors:
    """Whatever of it the run's regularizers and its order need, found or made now.

    Args:
        config: Resolved settings.
        dataset: The run's images.
        regularizers: Regularizers of the trainer.
        cache_dir: Where tables, features and encoders are kept.
        progress: Function that is called while features are computed and neighbors searched.
        announce: Function that is called with sentences on what was found.

    Raises:
        InputError: Two settings contradict each other, or a file does not suit the images.
    """
    needs = frozenset[str]().union(*(item.needs for item in regularizers))
    lsp = next((item for item in regularizers if isinstance(item, LSP)), None)
    if FEATURES in needs and config.space == "global":
        raise InputError(
            "`space='global'` is for fresh neighbors. Random images of the batch are "
            "`lsp_control='random'`."
        )
    grouped = config.group_size is not None
    if not needs and not grouped:
        return RunNeighbors()
    miner = _Miner(config, dataset, cache_dir, progress, announce)
    places = list(range(config.num_neighbors))
    if lsp is not None and NEIGHBORS in needs:
        places = lsp.positions(len(dataset.train) - 1)
    table = miner.table(max(places) + 1) if NEIGHBORS in needs or grouped else None
    features = miner.features() if FEATURES in needs else None
    order = None
    if table is not None and config.group_size is not None:
        nearest = table.indices[:, : config.num_neighbors]
        order = GroupedOrder(nearest, config.group_size, config.seed)
    record = miner.record if table is None else dict(table.provenance)
    if _has_own_encoder(config):
        record["encoder_epochs"] = encoder_settings(config).resolved(len(dataset.train)).epochs
    found = RunNeighbors(
        table=table.at(places) if table is not None and NEIGHBORS in needs else None,
        features=features,
        order=order,
        record=record,
    )
    if table is not None and order is not None:
        announce(price_of_groups(config, dataset, table, found))
    return replace(found, contrast=None if lsp is None else _contrast(config, lsp, found, announce))


class _Miner:
    """Finds table and features in one feature space."""

    def __init__(
        self,
        config: FitConfig,
        dataset: Dataset,
        cache_dir: Path | None,
        progress: Progress | None,
        announce: Callable[[str], None],
    ) -> None:
        self._config = config
        self._images = dataset.train.images
        self._where: dict[str, Any] = {
            "space": config.space,
            "cache_dir": cache_dir,
            "progress": progress,
        }
        self._source = None
        if config.neighbors is None:
            self._source = _feature_source(config, dataset, cache_dir, announce)

    @property
    def record(self) -> dict[str, Any]:
        """Where the features come from."""
        if self._source is None:
            return {"source": {"features": self._config.neighbors}}
        return {
            "source": {
                "dataset": self._config.dataset.name,
                "split": "train",
                "features": self._source.name,
                "features_fingerprint": self._source.fingerprint,
            }
        }

    def table(self, num_neighbors: int) -> NeighborTable:
        """The user's table, or a cached or newly mined one."""
        if self._source is None:
            path = str(self._config.neighbors)
            return load_table(path, images=self._images).take(num_neighbors)
        return find_or_mine(
            self._images,
            self._settings(num_neighbors),
            self._source,
            source={"dataset": self._config.dataset.name, "split": "train"},
            **self._where,
        )

    def features(self) -> StoredFeatures:
        """Those beside the user's table, or cached or newly computed ones."""
        if self._source is None:
            path = features_path(str(self._config.neighbors))
            return load_features(path, len(self._images))
        settings = self._settings(self._config.num_neighbors)
        return find_features(self._images, settings, self._source, **self._where)

    def _settings(self, num_neighbors: int) -> MiningSettings:
        return MiningSettings(
            num_neighbors=num_neighbors,
            normalize=self._config.normalize_features,
            seed=self._config.seed,
        )


def price_of_groups(
    config: FitConfig, dataset: Dataset, table: NeighborTable, neighbors: RunNeighbors
) -> str:
    """What batches in groups of neighbors gain and lose against random ones, in a sentence."""
    labels = dataset.train.labels
    batch_size = min(config.batch_size, len(labels))
    orders = [np.random.default_rng(config.seed).permutation(len(labels))]
    if neighbors.order is not None:
        orders.append(neighbors.order(0))
    random, grouped = (
        BatchMix.of(order, table, labels, batch_size, neighbors.features) for order in orders
    )
    text = (
        f"Groups of {config.group_size}: {grouped.neighbors_present:.2f} of an image's "
        f"{table.num_neighbors} neighbors are in its batch (random order: "
        f"{random.neighbors_present:.2f}). Their price: a batch's largest class has "
        f"{grouped.largest_class_share:.2f} of it (random order: "
        f"{random.largest_class_share:.2f}), {grouped.effective_classes:.1f} classes in effect "
        f"({random.effective_classes:.1f})"
    )
    if grouped.feature_spread is None or random.feature_spread is None:
        return f"{text}."
    return (
        f"{text}, and the batches' mean features, as BatchNorm's, deviate "
        f"{grouped.feature_spread / random.feature_spread:.1f} times as far."
    )


def measured_contrast(
    neighbors: RunNeighbors, regularizers: Sequence[Regularizer], logs: Mapping[str, float]
) -> str | None:
    """The contrast beside the loss of the run's last epoch, where that is of the same kind."""
    lsp = next((item for item in regularizers if isinstance(item, LSP)), None)
    if neighbors.contrast is None or lsp is None or lsp.divergence != "l2":
        return None
    return replace(neighbors.contrast, loss=logs[lsp.name]).sentence()


def _contrast(
    config: FitConfig, lsp: LSP, neighbors: RunNeighbors, announce: Callable[[str], None]
) -> Contrast | None:
    """Of the targets that the run will see; the kernel's is set by its perplexity."""
    if lsp.target == "kernel" or lsp.control == "uniform":
        return None
    if neighbors.table is not None:
        distances = neighbors.table.distances
    elif neighbors.features is not None:
        distances = _distances_in_batches(config, lsp, neighbors)
    else:
        return None
    found = Contrast.of(distances)
    announce(found.sentence())
    return found


def _distances_in_batches(config: FitConfig, lsp: LSP, neighbors: RunNeighbors) -> Floats:
    features: Any = neighbors.features
    num_images = len(features)
    random = np.random.default_rng(config.seed).permutation(num_images)
    order = random if neighbors.order is None else neighbors.order(0)
    size = min(config.batch_size, num_images)
    starts = range(0, num_images - size + 1, size)[:_BATCHES_SEEN]
    places = lsp.positions(size - 2)
    return np.concatenate(
        [nearest_in_batch(features[order[start : start + size]], places) for start in starts]
    )


def encoder_settings(config: FitConfig) -> PretrainSettings:
    """How the encoder of a run without one of its own is trained."""
    foreign = is_foreign(config.model.name)
    return PretrainSettings(
        model=PretrainSettings.model if foreign else config.model.name,
        width=config.encoder_width or config.model.get("width", PretrainSettings.width),
        epochs=config.encoder_epochs,
        seed=config.seed,
    )


def with_known_encoder(config: FitConfig, record: Path) -> FitConfig:
    """The settings with the length that the run's encoder had when the run began.

    Args:
        config: Settings of the run.
        record: The run's `dataset.json`, which need not be there. Runs before that noted no length
            trained for the published one.
    """
    if config.encoder_epochs is not None or not record.is_file():
        return config
    noted = read_json(record).get("neighbors") or {}
    return replace(config, encoder_epochs=noted.get("encoder_epochs", PUBLISHED_EPOCHS))


def _has_own_encoder(config: FitConfig) -> bool:
    """Whether neighbors are looked for by an encoder that the run trains, or finds in the cache."""
    given = (config.neighbors, config.embeddings, config.encoder)
    return config.features == "moco" and not any(given)


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
    settings = encoder_settings(config).resolved(len(dataset.train))
    folder = encoder_folder(dataset, settings, cache_dir)
    if (folder / "encoder.json").exists():
        announce(f"Neighbors: with the encoder in {folder}.")
    else:
        steps = len(dataset.train) // (settings.batch_size or 1)
        images = f"{len(dataset.train):,} images"
        default = "" if config.encoder_epochs else f" (--encoder-epochs; the default for {images})"
        announce(
            f"Neighbors: no encoder for these images and settings in {folder.parent}; training "
            f"one with MoCo v2 for {settings.epochs} epochs of {steps:,} steps{default}. "
            "(--features pixels does without.)"
        )
    return find_or_pretrain(
        dataset,
        settings,
        cache_dir=cache_dir,
        callbacks=[ThroughputProgress(len(dataset.train))],
    )
