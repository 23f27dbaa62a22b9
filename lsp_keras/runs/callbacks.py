"""The callbacks of a run: what is measured, shown, kept, and when the run is ended."""

from collections.abc import Callable
from typing import NamedTuple

import keras

from lsp_keras import registry
from lsp_keras.attacks.pgd import PGD
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.loggers import build_logger
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.resolve import attacks, in_force
from lsp_keras.training import (
    BestAndLast,
    BestAverage,
    CollapseGuard,
    EarlyStopping,
    HistoryCSV,
    OverfittingGuard,
    RobustValidation,
    TensorBoardScalars,
    ThroughputProgress,
)
from lsp_keras.types import Examples, Norm, ThreatModel

# With steps of half the radius: the paper's 10 steps of 1/255 at its 2/255.
VALIDATION_STEPS = 10
_METRICS = {"robust": "robust_accuracy", "clean": "accuracy"}


class Keepers(NamedTuple):
    """The callbacks that keep classifiers.

    Attributes:
        best: Keeper of the best epoch and of the last one.
        average: Keeper of the best epoch of the averaged weights, for runs that average.
    """

    best: BestAndLast
    average: BestAverage | None


def build_keepers(config: FitConfig, folder: RunFolder) -> Keepers:
    """What keeps the models of a run."""
    best = BestAndLast(folder.best_model, folder.last_model, metric=_metric(config, "val"))
    if config.ema_decay is None:
        return Keepers(best, None)
    return Keepers(best, BestAverage(folder.average_model, metric=_metric(config, "val_ema")))


def build_callbacks(
    config: FitConfig,
    folder: RunFolder,
    keepers: Keepers,
    *,
    validation: Examples,
    images_per_epoch: int,
    announce: Callable[[str], None],
) -> list[keras.callbacks.Callback]:
    """All callbacks, in the order in which they read what others wrote into the logs.

    Args:
        config: Resolved settings.
        folder: Where files go.
        keepers: Keepers that `build_keepers` made.
        validation: Held-out images.
        images_per_epoch: Images trained on in an epoch.
        announce: Function that is called with a sentence where a run ends early or learned nothing.
    """
    measured = _validation(config, validation)
    callbacks: list[keras.callbacks.Callback] = [
        measured,
        *_overfitting_guard(config, measured, announce),
        # Before all that write, so that a collapsed epoch leaves nothing.
        CollapseGuard(validation.labels, stop=config.stop_at_collapse, announce=announce),
        ThroughputProgress(images_per_epoch),
        *(keeper for keeper in keepers if keeper is not None),
    ]
    if config.early_stopping is not None:
        callbacks.append(
            EarlyStopping(config.early_stopping, metric=keepers.best.metric, announce=announce)
        )
    callbacks.append(HistoryCSV(folder.history))
    if config.tensorboard:
        callbacks.append(TensorBoardScalars(folder.tensorboard))
    if config.logger is not None:
        callbacks.append(build_logger(config.logger, folder=folder.path, settings=config.flat()))
    return callbacks


def _metric(config: FitConfig, prefix: str) -> str:
    return f"{prefix}_{_METRICS[config.select_by or 'robust']}"


def _validation(config: FitConfig, validation: Examples) -> RobustValidation:
    return _validation_at(validation_threat(config), config, validation)


def validation_threat(config: FitConfig) -> ThreatModel:
    """What the attack of the validation may do."""
    full = in_force(config)
    norm: Norm = full.attack["norm"] if attacks(full) else "linf"
    return ThreatModel.parse(full.validation_epsilon or "", norm)


def _validation_at(
    threat: ThreatModel, config: FitConfig, validation: Examples
) -> RobustValidation:
    attack = PGD(
        epsilon=threat.epsilon,
        norm=threat.norm,
        step_size=threat.epsilon / 2,
        num_steps=VALIDATION_STEPS,
    )
    return RobustValidation(validation, attack, batch_size=config.batch_size, seed=config.seed)


def _overfitting_guard(
    config: FitConfig, measured: RobustValidation, announce: Callable[[str], None]
) -> list[OverfittingGuard]:
    """One for methods whose attack can be outwitted, at the radius that they train for."""
    method = registry.get("method", config.method.name)
    if not (config.overfitting_guard and method.needs_guard):
        return []
    own = ThreatModel.parse(in_force(config).method["epsilon"], measured.attack.norm)
    same = own.epsilon == measured.attack.epsilon
    trained_for = None if same else _validation_at(own, config, measured.split)
    return [OverfittingGuard(measured, threat=trained_for, announce=announce)]
