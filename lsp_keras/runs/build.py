"""From the settings of a run to the objects that carry it out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from lsp_keras import datasets, registry
from lsp_keras.attacks import Attack
from lsp_keras.methods import RobustTrainer, StepOptions
from lsp_keras.runs.settings.config import READING, FitConfig
from lsp_keras.runs.settings.resolve import helped, in_force
from lsp_keras.runs.settings.units import Unit, is_foreign
from lsp_keras.runs.start import build_foreign, check_start, file_shape, take_weights
from lsp_keras.training import CoupledSGD, OneCycleMomentum, schedule
from lsp_keras.training.fine_tuning import (
    FineTuningSGD,
    batch_norm_layers,
    convert_batch_norm,
    freeze_batch_norm,
    head_of,
)
from lsp_keras.types import Dataset, DatasetInfo
from lsp_keras.validation import InputError


def load_dataset(config: FitConfig, cache_dir: Path | None) -> Dataset:
    """The run's images, in the shape that a model of one's own takes.

    Raises:
        InputError: They cannot be loaded, or none are left to choose an epoch by.
    """
    reading: dict[str, Any] = {name: getattr(config, name) for name in READING}
    height, width, channels = file_shape(config.model.name)
    if height is not None and width is not None:
        reading["image_size"] = reading["image_size"] or (height, width)
    reading["channels"] = reading["channels"] or channels
    dataset = datasets.load(
        config.dataset.name,
        settings=config.dataset.given,
        data_dir=config.data_dir,
        cache_dir=cache_dir,
        num_train=config.num_train,
        num_test=config.num_test,
        validation_size=config.validation_size,
        seed=config.data_seed,
        **reading,
    )
    # Told before a helper or an encoder is trained.
    if not len(dataset.validation):
        raise InputError(
            "A run chooses its epoch by validation images, and there are none beside "
            f"{len(dataset.train):,} training images. Hold some out: --validation-size."
        )
    return dataset


def build_classifier(config: FitConfig, info: DatasetInfo) -> keras.Model:
    """An untrained classifier for the dataset.

    Raises:
        InputError: Keras has no such activation.
    """
    settings = config.model.with_defaults().given
    if "activation" in settings:
        _check_activation(settings["activation"])
    return registry.get("model", config.model.name)(
        info.num_classes,
        input_shape=info.image_shape,
        mean=info.mean,
        std=info.std,
        seed=config.seed,
        **settings,
    )


def start_classifier(
    config: FitConfig, dataset: Dataset, announce: Callable[[str], None]
) -> keras.Model:
    """The classifier that training starts from, with the weights that the settings name.

    Args:
        config: Resolved settings.
        dataset: Dataset to train on.
        announce: Function that is called with a sentence on what was taken from where.

    Raises:
        InputError: There is no such model, or it does not suit the images.
    """
    name, info = config.model.name, dataset.info
    foreign = is_foreign(name)
    if foreign:
        classifier = build_foreign(name, info, seed=config.seed, pixel_range=config.pixel_range)
    else:
        classifier = build_classifier(config, info)
    if config.start_from is not None:
        take_weights(classifier, config.start_from, announce)
    started = foreign or config.start_from is not None
    classifier = _with_batch_norm(config.batch_norm, classifier, announce if started else None)
    if started:
        given = config.pixel_range is not None
        check_start(classifier, dataset, announce, range_is_given=given)
    return classifier


def _with_batch_norm(
    choice: str, classifier: keras.Model, announce: Callable[[str], None] | None
) -> keras.Model:
    """The classifier with its BatchNorm trained, frozen or converted, and said."""
    count = len(batch_norm_layers(classifier))
    if choice == "frozen":
        freeze_batch_norm(classifier)
    elif choice == "converted":
        classifier = convert_batch_norm(classifier)
    if count and announce is not None:
        what = {
            "train": "follows the training images",
            "frozen": "stays as it is",
            "converted": "became scales and shifts, which learn on",
        }
        layers = "1 layer" if count == 1 else f"{count} layers"
        announce(f"BatchNorm, in {layers}, {what[choice]} (--batch-norm {choice}).")
    return classifier


def build_optimizer(config: FitConfig, classifier: keras.Model, steps_per_epoch: int) -> CoupledSGD:
    """SGD on the run's schedule, slower or later for the backbone where the settings say so."""
    steps = config.epochs * steps_per_epoch
    rate = schedule(config.schedule, config.learning_rate, steps)
    options: dict[str, Any] = {
        "momentum": OneCycleMomentum(steps) if config.cycle_momentum else config.momentum,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm,
    }
    if not config.freeze_backbone_epochs and config.backbone_rate == 1.0:
        return CoupledSGD(rate, **options)
    return FineTuningSGD(
        rate,
        head=head_of(classifier),
        backbone_rate=config.backbone_rate,
        frozen_steps=config.freeze_backbone_epochs * steps_per_epoch,
        **options,
    )


def build_trainer(
    config: FitConfig,
    classifier: keras.Model,
    *,
    steps_per_epoch: int,
    num_images: int,
    helper: keras.Model | None = None,
) -> RobustTrainer:
    """The method with its regularizers and options, compiled.

    Args:
        config: Resolved settings.
        classifier: Classifier to train.
        steps_per_epoch: Number of steps of an epoch, for the schedule and warm-ups.
        num_images: Training images, for a method that remembers something of each.
        helper: Helper model, for a method that has one.
    """
    full = in_force(config)
    arguments = _arguments(full.method, steps_per_epoch)
    if "attack" in registry.arguments("method", full.method.name):
        arguments["attack"] = build_attack(full)
    if helped(config):
        arguments["helper"] = helper
    if "num_images" in registry.arguments("method", full.method.name):
        arguments["num_images"] = num_images
    trainer: RobustTrainer = registry.get("method", full.method.name)(
        classifier,
        regularizers=[
            registry.get("regularizer", name)(**_arguments(unit, steps_per_epoch))
            for name, unit in full.regularizers.items()
        ],
        seed=config.seed,
        **arguments,
    )
    trainer.configure(
        StepOptions(
            label_smoothing=config.label_smoothing,
            awp_gamma=config.awp,
            awp_warmup_steps=config.awp_warmup * steps_per_epoch,
            ema_decay=config.ema_decay,
        )
    )
    optimizer = build_optimizer(config, trainer.classifier, steps_per_epoch)
    trainer.compile(optimizer, metrics=["accuracy"], jit_compile=config.xla)
    return trainer


def build_augmentation(config: FitConfig, info: DatasetInfo) -> Any:
    """The augmentation asked for, else the one that suits the dataset; or `None`."""
    unit = config.augmentation or Unit("augmentation", info.augmentation or "none")
    return None if unit.name == "none" else registry.get("augmentation", unit.name)(**unit.given)


def build_attack(config: FitConfig) -> Attack:
    """The attack in training."""
    attack = in_force(config).attack
    built: Attack = registry.get("attack", attack.name)(**attack.given)
    return built


def check_numbers(config: FitConfig) -> None:
    """Builds everything once, small, so that a wrong number is told before any work is done.

    Raises:
        InputError: A unit does not take one of its settings.
    """
    trial = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.GlobalAveragePooling2D(name="features"),
            keras.layers.Dense(2, name="logits"),
        ]
    )
    helper = keras.models.clone_model(trial) if helped(config) else None
    build_attack(config)
    build_trainer(config, trial, steps_per_epoch=1, num_images=1, helper=helper)


def _arguments(unit: Unit, steps_per_epoch: int) -> dict[str, Any]:
    """The constructor's arguments, less those that are made of a run's settings."""
    arguments = {k: v for k, v in unit.given.items() if k not in ("helper", "helper_epochs")}
    if "warmup_epochs" in arguments:
        arguments["warmup_steps"] = arguments.pop("warmup_epochs") * steps_per_epoch
    return arguments


def _check_activation(name: str) -> None:
    try:
        keras.activations.get(name)
    except ValueError as error:
        raise InputError(
            f"`activation` must be a Keras activation, such as relu, silu, gelu or softplus. "
            f"Received: {name!r}."
        ) from error
