"""From a dataset to an encoder file: MoCo v2 that can be killed, resumed and found again."""

import contextlib
import dataclasses
import json
import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lsp_keras import registry
from lsp_keras.augmentations._moco_views import MoCoView
from lsp_keras.datasets import count_batches, make_batches
from lsp_keras.models._moco import plain_encoder
from lsp_keras.pretraining.callbacks import EpochSeconds, KNNMonitor, StopAtCollapse
from lsp_keras.pretraining.moco import MoCoTrainer
from lsp_keras.processes import locked
from lsp_keras.storage import atomic_path, fingerprint, write_json
from lsp_keras.storage import cache_dir as default_cache_dir
from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.training.run import run_training
from lsp_keras.training.schedules import cosine
from lsp_keras.training.state import STATE_FILE, clear_state, has_state
from lsp_keras.types import Dataset
from lsp_keras.validation import InputError, check_positive

logger = logging.getLogger(__name__)

ENCODER_FILE, RECORD_FILE = "encoder.keras", "encoder.json"
# Raised when the same settings would give another encoder.
_VERSION = 1
_REFERENCE_BATCH = 512
PUBLISHED_EPOCHS, _FEWEST_EPOCHS = 200, 80
# Number of training images from which on the published length is the default.
FULL_LENGTH_IMAGES = 20_000
_LARGEST_QUEUE = 4096


@dataclass(frozen=True)
class PretrainSettings:
    """How an encoder is trained; all of it is part of its cache key.

    Attributes:
        model: Registered backbone.
        width: Filters of its first stage.
        epochs: Passes over the training images. Default 200, as published, and fewer for few
            images, see `usual_epochs`.
        batch_size: Images of a batch. Default 512, less where there are few images.
        learning_rate: Learning rate at a batch of 512; it is scaled with the batch and falls along
            a cosine.
        queue_size: Keys that each query is compared with. Default 4,096, or the largest multiple
            of the batch within half of the images.
        momentum: Part of the momentum network's weights that an update keeps.
        temperature: Temperature of InfoNCE.
        dimensions: Dimensions of the projections.
        weight_decay: L2 penalty.
        symmetric: Whether both views are queries; twice the time per epoch.
        batch_norm_splits: Parts of a batch that BatchNorm normalizes by themselves.
        seed: Seed of weights, order, views and queue.

    References:
        The CIFAR notebook of github.com/facebookresearch/moco.
    """

    model: str = "resnet18"
    width: int = 64
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float = 0.06
    queue_size: int | None = None
    momentum: float = 0.99
    temperature: float = 0.1
    dimensions: int = 128
    weight_decay: float = 5e-4
    symmetric: bool = True
    batch_norm_splits: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("width", "learning_rate", "temperature", "dimensions"):
            check_positive(name, getattr(self, name))
        for name in ("epochs", "batch_size", "queue_size"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        check_positive("batch_norm_splits", self.batch_norm_splits)
        if not 0 <= self.momentum < 1:
            raise InputError(f"`momentum` must be in [0, 1). Received: {self.momentum}.")

    def resolved(self, num_images: int) -> "PretrainSettings":
        """The settings with a length, a batch and a queue that suit the number of images.

        Raises:
            InputError: The queue that was asked for holds more keys than there are images (a
                query would meet old keys of its own image as negatives), fewer than one step
                makes, or the batch cannot be split.
        """
        splits = self.batch_norm_splits
        batch = self.batch_size
        if batch is None:
            batch = max(splits, min(_REFERENCE_BATCH, num_images // 8) // splits * splits)
        if batch % splits or batch > num_images:
            raise InputError(
                f"`batch_size` must be a multiple of batch_norm_splits={splits} and at most the "
                f"{num_images} training images. Received: batch_size={batch}."
            )
        keys = batch * (2 if self.symmetric else 1)
        queue = self.queue_size
        if queue is None:
            queue = max(keys, min(_LARGEST_QUEUE, num_images // 2) // keys * keys)
        if queue > num_images or queue < keys:
            raise InputError(
                f"`queue_size` must be at least the {keys} keys of one step and at most the "
                f"{num_images} training images: a larger queue holds older keys of the queries' "
                f"own images, which then count as other images. Received: queue_size={queue}."
            )
        epochs = self.epochs or usual_epochs(num_images)
        return dataclasses.replace(self, epochs=epochs, batch_size=batch, queue_size=queue)


def usual_epochs(num_images: int) -> int:
    """How long an encoder is trained where no number of epochs is asked for.

    The published 200 epochs were chosen on 50,000 images. Below `FULL_LENGTH_IMAGES` the number
    falls with the square root of the number of images, down to 80: the batch shrinks with the
    images to an eighth of them, so that an epoch keeps its eight steps. Features get better with
    every doubling of the length that was measured, and those of 729 images leave chance after 40
    epochs only (docs/neighbors.md).

    Args:
        num_images: Number of training images.

    Example:
        >>> [usual_epochs(number) for number in (50_000, 5_000, 500)]
        [200, 100, 80]
    """
    wanted = round(PUBLISHED_EPOCHS * math.sqrt(num_images / FULL_LENGTH_IMAGES))
    return min(max(wanted, _FEWEST_EPOCHS), PUBLISHED_EPOCHS)


def encoder_folder(
    dataset: Dataset, settings: PretrainSettings, cache_dir: Path | str | None = None
) -> Path:
    """Where the encoder of this dataset and these settings is kept: its cache key.

    The key depends on the training images, the settings, the image statistics and whether the
    images may be mirrored.
    """
    resolved = settings.resolved(len(dataset.train))
    info = dataset.info
    key = fingerprint(
        _VERSION,
        dataset.train.images,
        dataclasses.asdict(resolved),
        [list(info.mean), list(info.std), info.augmentation],
    )
    return default_cache_dir(cache_dir) / "encoders" / key


def find_or_pretrain(
    dataset: Dataset,
    settings: PretrainSettings,
    *,
    cache_dir: Path | str | None = None,
    monitor_every: int = 5,
    restart: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Path:
    """The cached encoder of this dataset and these settings; trained where there is none.

    Args:
        dataset: Dataset to train on, as `pretrain` takes it.
        settings: Settings of the training.
        cache_dir: Folder of the cache. Default: the user's.
        monitor_every: Epochs between measurements of k-NN accuracy.
        restart: Whether to train anew, even if there is an encoder or an interrupted training.
        callbacks: Callbacks of the training, as `pretrain` takes them.

    Returns:
        Path of `encoder.keras`; see `pretrain`, which also says what is raised.
    """
    folder = encoder_folder(dataset, settings, cache_dir)
    if not restart and _is_sound(folder):
        return folder / ENCODER_FILE
    lock = folder.with_name(f"{folder.name}.lock")
    with locked(lock, f"The encoder {folder}", wait=True, announce=logger.warning):
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        # Another process may have made it while this one waited.
        elif _is_sound(folder):
            return folder / ENCODER_FILE
        return pretrain(dataset, settings, folder, monitor_every=monitor_every, callbacks=callbacks)


def _is_sound(folder: Path) -> bool:
    """Whether an encoder is there and is the one that its record describes."""
    encoder, record = folder / ENCODER_FILE, folder / RECORD_FILE
    if not (encoder.is_file() and record.is_file()):
        return False
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if json.loads(record.read_bytes())["encoder"] == fingerprint(encoder.read_bytes()):
            return True
    logger.warning("The encoder in %s is damaged; it is trained again.", folder)
    return False


def pretrain(
    dataset: Dataset,
    settings: PretrainSettings,
    folder: Path,
    *,
    monitor_every: int = 5,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Path:
    """Trains an encoder on the training images, without their labels.

    Args:
        dataset: Dataset to train on; its validation split is only used, with labels, to measure
            k-NN accuracy.
        settings: Settings of the training.
        folder: Folder that gets `encoder.keras`, `encoder.json` (what it was trained on and how it
            went) and, until the end, `state.npz`, from which an interrupted training goes on.
        monitor_every: Epochs between measurements of k-NN accuracy.
        callbacks: Further Keras callbacks; logs hold `loss`, `spread`, `knn_accuracy` (where
            it was measured), `seconds` and `learning_rate`.

    Returns:
        Path of `encoder.keras`: images in [0, 1] to features `(batch, dimensions)`.

    Raises:
        InputError: See `PretrainSettings.resolved`.
        NonFiniteLossError: The loss became NaN or infinite.
        CollapseError: All images get the same features.
    """
    settings = settings.resolved(len(dataset.train))
    backbone = _backbone(dataset, settings)
    trainer = _trainer(backbone, settings, len(dataset.train))
    history = run_training(
        trainer,
        lambda epoch: view_batches(dataset, settings, epoch),
        epochs=settings.epochs or 0,
        callbacks=[
            KNNMonitor(dataset.train, dataset.validation, monitor_every),
            StopAtCollapse(),
            EpochSeconds(),
            *callbacks,
        ],
        state_dir=folder,
        resume=has_state(folder),
    )
    encoder = folder / ENCODER_FILE
    with atomic_path(encoder) as temporary:
        plain_encoder(trainer.encoder, backbone).save(temporary)
    record = _record(dataset, settings, encoder)
    write_json(folder / RECORD_FILE, record | {"history": history})
    clear_state(folder / STATE_FILE)
    return encoder


def view_batches(dataset: Dataset, settings: PretrainSettings, epoch: int) -> tf.data.Dataset:
    """Pairs of views of one epoch; complete batches only.

    Args:
        dataset: Dataset whose training images are encoded.
        settings: Resolved.
        epoch: Number of the epoch, counted from 0.

    Returns:
        Dictionaries of `first` and `second`, float32 `(batch, height, width, channels)`.
    """
    view = MoCoView(flip=dataset.info.augmentation == "crop_flip")
    batches = make_batches(
        dataset.train,
        batch_size=settings.batch_size or 0,
        shuffle=True,
        seed=settings.seed,
        epoch=epoch,
        drop_remainder=True,
    )

    def views(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        first, second = (
            view(
                batch["images"],
                seed=settings.seed,
                indices=batch["indices"],
                counter=2 * epoch + place,
            )
            for place in range(2)
        )
        return {"first": first, "second": second}

    return batches.map(views, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _steps_per_epoch(settings: PretrainSettings, num_images: int) -> int:
    return count_batches(num_images, settings.batch_size or 0, drop_remainder=True)


def _backbone(dataset: Dataset, settings: PretrainSettings) -> keras.Model:
    has_width = "width" in registry.arguments("model", settings.model)
    return registry.get("model", settings.model)(
        dataset.info.num_classes,
        input_shape=dataset.info.image_shape,
        **({"width": settings.width} if has_width else {}),
        mean=dataset.info.mean,
        std=dataset.info.std,
        seed=settings.seed,
    )


def _trainer(backbone: keras.Model, settings: PretrainSettings, num_images: int) -> MoCoTrainer:
    trainer = MoCoTrainer(
        backbone,
        dimensions=settings.dimensions,
        queue_size=settings.queue_size or 0,
        momentum=settings.momentum,
        temperature=settings.temperature,
        symmetric=settings.symmetric,
        batch_norm_splits=settings.batch_norm_splits,
        seed=settings.seed,
    )
    steps = (settings.epochs or 0) * _steps_per_epoch(settings, num_images)
    highest = settings.learning_rate * (settings.batch_size or 0) / _REFERENCE_BATCH
    trainer.compile(
        CoupledSGD(
            cosine(highest, steps),
            momentum=0.9,
            nesterov=False,
            weight_decay=settings.weight_decay,
        )
    )
    trainer.optimizer.build(trainer.query_network.trainable_variables)
    return trainer


def _record(dataset: Dataset, settings: PretrainSettings, encoder: Path) -> dict[str, Any]:
    return {
        "dataset": dataset.info.name,
        "split": "train",
        "num_images": len(dataset.train),
        "images": fingerprint(dataset.train.images),
        "image_shape": list(dataset.info.image_shape),
        "settings": dataclasses.asdict(settings),
        "encoder": fingerprint(encoder.read_bytes()),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
