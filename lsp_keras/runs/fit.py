"""Carries a training run out: data, neighbors, training, and the files it leaves."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.classifiers import load_keras
from lsp_keras.datasets import EpochBatches, count_batches
from lsp_keras.evaluation.statement import validation_sentence
from lsp_keras.ops.workers import Workers
from lsp_keras.runs.build import (
    build_augmentation,
    build_trainer,
    check_numbers,
    load_dataset,
    start_classifier,
)
from lsp_keras.runs.callbacks import (
    VALIDATION_STEPS,
    build_callbacks,
    build_keepers,
    validation_threat,
)
from lsp_keras.runs.files.chief import shared_folder
from lsp_keras.runs.files.folder import RunFolder, new_run, resumed_run
from lsp_keras.runs.files.moved import folder_record
from lsp_keras.runs.header import describe_fit
from lsp_keras.runs.helper_model import find_helper
from lsp_keras.runs.neighbors import (
    RunNeighbors,
    build_neighbors,
    measured_contrast,
    with_known_encoder,
)
from lsp_keras.runs.settings.config import FitConfig, write_config
from lsp_keras.runs.settings.resolve import helped, resolve
from lsp_keras.shards import Shard
from lsp_keras.storage import fingerprint, read_json, write_json
from lsp_keras.training import make_deterministic, run_training
from lsp_keras.training.distribution import (
    check_distributable,
    deal_batches,
    make_strategy,
    synchronize_batch_norm,
)
from lsp_keras.training.state import has_sound_state
from lsp_keras.types import Dataset, Progress, ThreatModel
from lsp_keras.validation import InputError


@dataclass(frozen=True)
class _Surroundings:
    """Where a run keeps what others can use too, and whom it tells."""

    cache: Path | None
    progress: Progress | None
    announce: Callable[[str], None]


@dataclass(frozen=True)
class FitResult:
    """What a run came to.

    Attributes:
        path: The run's folder.
        best_epoch: Epoch of `model.keras`, counted from 1.
        history: Logs of each epoch.
        average_epoch: Epoch of `ema.keras`, counted from 1; `None` without an average.
        threat: What the attack on the held-out images may do.
        num_held_out: Number of images held out from training.
    """

    path: Path
    best_epoch: int
    history: list[dict[str, float]]
    average_epoch: int | None
    threat: ThreatModel
    num_held_out: int

    @property
    def best(self) -> dict[str, float]:
        """Logs of the best epoch."""
        return self.history[self.best_epoch - 1]

    @property
    def best_average(self) -> dict[str, float] | None:
        """Logs of the best epoch of the averaged weights."""
        return None if self.average_epoch is None else self.history[self.average_epoch - 1]

    @property
    def sentence(self) -> str:
        """What may be said of the best epoch."""
        return self._sentence(self.best, "val")

    @property
    def average_sentence(self) -> str | None:
        """What may be said of the best epoch of the averaged weights, if there is one."""
        best = self.best_average
        return None if best is None else self._sentence(best, "val_ema")

    def _sentence(self, logs: dict[str, float], prefix: str) -> str:
        return validation_sentence(
            logs[f"{prefix}_accuracy"],
            logs[f"{prefix}_robust_accuracy"],
            num_steps=VALIDATION_STEPS,
            threat=self.threat,
            num_images=self.num_held_out,
        )


def fit(
    config: FitConfig,
    *,
    runs_dir: Path | str = "runs",
    name: str | None = None,
    resume: bool = False,
    cache_dir: Path | str | None = None,
    distribute: str = "none",
    progress: Progress | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> FitResult:
    """Trains a classifier and leaves everything about it in a folder.

    The folder holds `config.toml` (the resolved settings, a recipe itself), `dataset.json`,
    `history.csv`, `model.keras` (the epoch with the best validation accuracy), `last.keras`,
    where an average of the weights is kept its best epoch as `ema.keras`, where asked for
    `tensorboard/`, and `checkpoints/`, from which a killed run goes on to the same weights.

    Args:
        config: Settings.
        runs_dir: Where runs lie.
        name: Name of the run; default dataset and method, numbered where there is one already.
        resume: Whether to go on with the run of that name, or the newest with these settings.
        cache_dir: Where encoders, neighbor tables and helpers are kept; default the user's cache
            folder.
        distribute: Devices that share each batch: `"none"`, `"mirrored"` (all GPUs of this
            machine), `"multi_worker"` (the processes that `$TF_CONFIG` names), `"slurm"` (the tasks
            of an `srun`) or `"auto"`. Then call it before anything else of TensorFlow, in every
            process alike. `batch_size` is that of all replicas together. Only the chief writes to
            the run's folder.
        progress: Function that is called with `(stage, done, total)` while neighbors are mined.
        announce: Function that is called with a sentence before a long step, such as training an
            encoder.

    Raises:
        InputError: A setting does not fit, the data are missing, the run exists already,
            another process is at it, or the method cannot be spread.

    Example:
        >>> from lsp_keras.runs import FitConfig, fit
        >>> config = FitConfig.of(dataset="digits", lsp=False, width=4, epochs=1)
        >>> fit(config, name="example").best_epoch  # doctest: +SKIP
        1
    """
    workers = Workers(make_strategy(distribute))
    if not workers.is_chief:
        announce, progress = (lambda text: None), None
    config = resolve(config)
    check_numbers(config)
    cache = None if cache_dir is None else Path(cache_dir)
    surroundings = _Surroundings(cache, progress, announce)
    claim = functools.partial(resumed_run if resume else new_run, Path(runs_dir), name, config)
    # Claimed before any work is done, so that a wrong name is told at once.
    with shared_folder(workers, claim, resume=resume) as (folder, path):
        dataset = load_dataset(config, cache)
        result = _train(config, folder, dataset, surroundings, resume=resume, workers=workers)
        # The folder is free again only once all are done with it.
        workers.wait()
        return replace(result, path=path)


def _train(
    config: FitConfig,
    folder: RunFolder,
    dataset: Dataset,
    surroundings: _Surroundings,
    *,
    resume: bool,
    workers: Workers,
) -> FitResult:
    """A run on loaded images."""
    helper = _helper(config, dataset, surroundings) if helped(config) else None
    # After the helper: whether it was trained just now must not matter.
    make_deterministic(config.seed, operations=config.deterministic)
    keras.mixed_precision.set_global_policy(_policy(config))
    batch_size = min(config.batch_size, len(dataset.train))
    steps = count_batches(len(dataset.train), batch_size, drop_remainder=True)
    with workers.strategy.scope():
        classifier = None
        if resume:
            classifier = _learned_classifier(folder, surroundings.announce)
        if classifier is None:
            classifier = start_classifier(config, dataset, surroundings.announce)
        if workers.num_replicas > 1:
            _say_distribution(classifier, workers, surroundings.announce)
        trainer = build_trainer(
            config,
            classifier,
            steps_per_epoch=steps,
            num_images=len(dataset.train),
            helper=helper,
        )
    if workers.num_replicas > 1:
        check_distributable(trainer, batch_size, workers.num_replicas)
    parameters = int(classifier.count_params())
    surroundings.announce(describe_fit(config, folder, dataset, parameters))
    neighbors = build_neighbors(
        with_known_encoder(config, folder.dataset) if resume else config,
        dataset,
        trainer.regularizers,
        cache_dir=surroundings.cache,
        progress=surroundings.progress,
        announce=surroundings.announce,
    )
    record = _dataset_record(dataset, neighbors)
    if workers.count > 1:
        _check_same(workers, record, neighbors, classifier)
    record["folder"] = folder_record(config.dataset.name, folder.path)
    _refuse_other_data(folder.dataset, record)
    write_config(folder.config, config)
    write_json(folder.dataset, record)
    keepers = build_keepers(config, folder)
    history = run_training(
        trainer,
        _epoch_batches(config, dataset, neighbors, batch_size, workers),
        epochs=config.epochs,
        steps_per_epoch=steps if workers.num_replicas > 1 else None,
        callbacks=build_callbacks(
            # One run, one log of it.
            config if workers.is_chief else replace(config, logger=None, tensorboard=False),
            folder,
            keepers,
            validation=dataset.validation,
            images_per_epoch=steps * batch_size,
            announce=surroundings.announce,
        ),
        state_dir=folder.checkpoints,
        resume=resume,
        deterministic=config.deterministic,
        announce=surroundings.announce,
    )
    said = measured_contrast(neighbors, trainer.regularizers, history[-1])
    if said is not None:
        surroundings.announce(said)
    average_epoch = keepers.average.best_epoch if keepers.average is not None else None
    return FitResult(
        folder.path,
        keepers.best.best_epoch or len(history),
        history,
        average_epoch,
        threat=validation_threat(config),
        num_held_out=len(dataset.validation),
    )


def _learned_classifier(folder: RunFolder, announce: Callable[[str], None]) -> keras.Model | None:
    """The classifier of a run that goes on from a state, whose weights it gets later.

    What the run was started from may be gone. Without a sound state it begins again, and not from
    what it had learned.
    """
    if not has_sound_state(folder.checkpoints) or not folder.last_model.exists():
        return None
    try:
        return load_keras(folder.last_model)
    except InputError as error:
        announce(f"{error} It is built anew, and its weights are those of {folder.checkpoints}.")
        return None


def _helper(config: FitConfig, dataset: Dataset, surroundings: _Surroundings) -> keras.Model:
    def train(own: FitConfig, folder: RunFolder) -> None:
        resume = folder.config.exists()
        alone = Workers(tf.distribute.get_strategy())
        _train(own, folder, dataset, surroundings, resume=resume, workers=alone)

    return find_helper(
        config, dataset, cache=surroundings.cache, train=train, announce=surroundings.announce
    )


def _policy(config: FitConfig) -> str:
    if not config.mixed_precision:
        return "float32"
    # CPUs compute in bfloat16 only.
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"


def _epoch_batches(
    config: FitConfig,
    dataset: Dataset,
    neighbors: RunNeighbors,
    batch_size: int,
    workers: Workers,
) -> Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset]:
    batches = EpochBatches(
        dataset.train,
        batch_size=batch_size,
        shuffle=True,
        seed=config.seed,
        augment=build_augmentation(config, dataset.info),
        neighbors=neighbors.table,
        augment_neighbors=config.augment_neighbors,
        features=neighbors.features,
        order=neighbors.order,
        drop_remainder=True,
        shard=Shard(workers.index, workers.count) if workers.count > 1 else None,
        as_bytes=True,
    )
    if workers.num_replicas == 1:
        return batches
    return deal_batches(batches, workers, batch_size)


def _say_distribution(
    classifier: keras.Model, workers: Workers, announce: Callable[[str], None]
) -> None:
    count = synchronize_batch_norm(classifier)
    norms = f" {count} BatchNorm layers normalize by the whole batch." if count else ""
    announce(
        f"Spread over {workers.num_replicas} replicas in {workers.count} processes.{norms} "
        "Sums are rounded in another order than on one."
    )


def _check_same(
    workers: Workers,
    record: Mapping[str, object],
    neighbors: RunNeighbors,
    classifier: keras.Model,
) -> None:
    """Refuses processes that would train on different images, neighbors or first weights."""
    workers.check_agreement(str(record["train_fingerprint"]), "The training images' fingerprint")
    table = neighbors.table
    digest = fingerprint(*(() if table is None else (table.indices, table.distances)))
    workers.check_agreement(digest, "The neighbor table")
    weights = fingerprint(*(np.asarray(weight) for weight in classifier.get_weights()))
    workers.check_agreement(weights, "The first weights")


def _dataset_record(dataset: Dataset, neighbors: RunNeighbors) -> dict[str, object]:
    """What later commands need to know of the data."""
    record = asdict(dataset.info)
    record["num_images"] = {
        "train": len(dataset.train),
        "validation": len(dataset.validation),
        "test": len(dataset.test),
    }
    record["train_fingerprint"] = fingerprint(dataset.train.images)
    record["neighbors"] = neighbors.record
    return record


def _refuse_other_data(path: Path, record: dict[str, object]) -> None:
    """A run that goes on must see the images it started with."""
    if path.exists():
        started_with = read_json(path)
        if started_with.get("train_fingerprint") != record["train_fingerprint"]:
            raise InputError(
                f"The training images are not those that {path.parent} was started with. "
                "Restore the data, or start a new run."
            )
