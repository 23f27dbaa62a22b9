"""From the settings of a run to the objects that carry it out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from lsp_keras import datasets, registry
from lsp_keras.methods import RobustTrainer, StepOptions
from lsp_keras.regularizers import ADR, LFR, LFRC, LSP, Regularizer
from lsp_keras.runs.config import FitConfig
from lsp_keras.runs.methods import attacks, method_arguments, remembers, resolve_method
from lsp_keras.training import CoupledSGD, schedule
from lsp_keras.types import Dataset, DatasetInfo
from lsp_keras.validation import InputError

PAPER_STANDARD_EPSILON = "2/255"


def resolve(config: FitConfig) -> FitConfig:
    """The settings with every default that depends on another setting filled in.

    Without adversarial training the epoch with the best robust accuracy may be an untrained
    one: a model that gives every image the same class is robust at the share of that class.

    Raises:
        InputError: A setting is given that the method has not.
    """
    config = resolve_method(config)
    validation_epsilon = config.epsilon if attacks(config) else PAPER_STANDARD_EPSILON
    return replace(
        config,
        attack_step_size=config.attack_step_size or _quarter(config.epsilon),
        validation_epsilon=config.validation_epsilon or validation_epsilon,
        select_by=config.select_by or ("robust" if attacks(config) else "clean"),
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


def build_classifier(config: FitConfig, info: DatasetInfo) -> keras.Model:
    """An untrained classifier for the dataset.

    Raises:
        InputError: Keras has no such activation.
    """
    _check_activation(config.activation)
    return registry.get("model", config.model)(
        info.num_classes,
        input_shape=info.image_shape,
        width=config.width,
        mean=info.mean,
        std=info.std,
        activation=config.activation,
        seed=config.seed,
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
        classifier: To train.
        steps_per_epoch: Turns epochs into steps, for the schedule and warm-ups.
        num_images: Training images, for a method that remembers something of each.
        helper: For a method that has one.
    """
    arguments = method_arguments(config)
    if helper is not None:
        arguments["helper"] = helper
    if remembers(config):
        arguments["num_images"] = num_images
    trainer: RobustTrainer = registry.get("method", config.resolved_method)(
        classifier,
        regularizers=_regularizers(config, steps_per_epoch),
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
    optimizer = CoupledSGD(
        schedule(config.schedule, config.learning_rate, config.epochs * steps_per_epoch),
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
    )
    trainer.compile(optimizer, metrics=["accuracy"], jit_compile=config.xla)
    return trainer


def build_augmentation(config: FitConfig, info: DatasetInfo) -> Any:
    """The augmentation asked for, else the one that suits the dataset; or `None`."""
    name = config.augmentation or info.augmentation or "none"
    return None if name == "none" else registry.get("augmentation", name)()


def _regularizers(config: FitConfig, steps_per_epoch: int) -> list[Regularizer]:
    regularizers: list[Regularizer] = []
    if config.lsp:
        regularizers.append(_lsp(config))
    if config.lfr:
        regularizers.append(_lfr(config, steps_per_epoch))
    if config.adr:
        regularizers.append(_adr(config))
    if config.lfrc:
        regularizers.append(_lfrc(config))
    return regularizers


def _lsp(config: FitConfig) -> LSP:
    return LSP(
        weight=config.lsp_weight,
        neighbors=config.lsp_neighbors,
        num_neighbors=config.num_neighbors,
        target=config.lsp_target,
        perplexity=config.lsp_perplexity,
        layer=config.lsp_layer,
        control=config.lsp_control,
        divergence=config.divergence,
        neighbor_batch_norm=config.neighbor_batch_norm,
        neighbor_gradient=config.neighbor_gradient,
        normalize_logits=config.normalize_logits,
    )


def _lfr(config: FitConfig, steps_per_epoch: int) -> LFR:
    return LFR(
        weight=config.lfr_weight,
        warmup_steps=config.lfr_warmup * steps_per_epoch,
        form=config.lfr_form,
        epsilon=config.epsilon,
        step_size=config.attack_step_size,
        num_steps=config.attack_steps,
    )


def _adr(config: FitConfig) -> ADR:
    return ADR(
        weight=config.adr_weight,
        counterpart_share=config.adr_counterpart_share,
        epsilon=config.epsilon,
        step_size=config.attack_step_size,
        num_steps=config.attack_steps,
    )


def _lfrc(config: FitConfig) -> LFRC:
    return LFRC(
        weight=config.lfrc_weight,
        epsilon=config.epsilon,
        step_size=config.attack_step_size,
        num_steps=config.attack_steps,
    )


def _check_activation(name: str) -> None:
    try:
        keras.activations.get(name)
    except ValueError as error:
        raise InputError(
            f"`activation` must be a Keras activation, such as relu, silu, gelu or softplus. "
            f"Received: {name!r}."
        ) from error


def _quarter(epsilon: str) -> str:
    """A quarter of a fraction, as text: `"8/255"` becomes `"2/255"`."""
    numerator, separator, denominator = epsilon.partition("/")
    return f"{float(numerator) / 4:g}{separator}{denominator}"
