from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import ATTrainer, RobustTrainer, StandardTrainer
from lsp_keras.methods._averaging import WeightAverage
from lsp_keras.methods._options import StepOptions
from lsp_keras.regularizers import LSP
from lsp_keras.training import BestAndLast, CoupledSGD, RobustValidation, run_training
from lsp_keras.training.callbacks import BestAverage
from lsp_keras.types import Examples
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Batches = Callable[[int], tf.data.Dataset]


class Weights(keras.callbacks.Callback):
    """Notes the classifier's weights after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(self.model.classifier.get_weights())


def fit(trainer: RobustTrainer, data: Any, **options: Any) -> dict[str, list[float]]:
    return trainer.fit(data, verbose=0, shuffle=False, **options).history


def averaging(classifier: keras.Model, decay: float) -> StandardTrainer:
    trainer = StandardTrainer(classifier)
    trainer.configure(StepOptions(ema_decay=decay))
    trainer.compile(CoupledSGD(0.2))
    return trainer


def closed_form(weights: list[list[np.ndarray]], decay: float) -> list[np.ndarray]:
    """Each step's weights times its gain and all later decays; `weights` begins with the first."""
    steps = len(weights) - 1
    decays = [min(decay, (1 + step) / (10 + step)) for step in range(steps)]
    shares = [
        (1.0 if step == 0 else 1 - decays[step - 1]) * np.prod(decays[step:])
        for step in range(steps + 1)
    ]
    assert sum(shares) == pytest.approx(1)
    return [
        sum(share * item.astype(np.float64) for share, item in zip(shares, history, strict=True))
        for history in zip(*weights, strict=True)
    ]


@pytest.mark.parametrize("decay", [0.25, 0.999])
def test_average_has_its_closed_form_in_all_weights(
    decay: float, build_classifier: Build, make_batches: Batches
) -> None:
    trainer, noted = averaging(build_classifier(), decay), Weights()
    first = trainer.classifier.get_weights()
    fit(trainer, make_batches(0), epochs=3, callbacks=[noted])
    assert len(noted.seen) == 9
    expected = closed_form([first, *noted.seen], decay)
    assert trainer.average is not None
    names = [weight.path for weight in trainer.classifier.weights]
    assert sum("moving" in name for name in names) == 2
    for name, found, value in zip(names, trainer.average.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_averaging_changes_no_bit_of_the_training(
    build_classifier: Build, make_batches: Batches
) -> None:
    plain, averaged = StandardTrainer(build_classifier()), averaging(build_classifier(), 0.9)
    plain.compile(CoupledSGD(0.2))
    assert fit(plain, make_batches(0), epochs=2) == fit(averaged, make_batches(0), epochs=2)
    for one, other in zip(
        plain.classifier.get_weights(), averaged.classifier.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_frozen_weights_stay_in_the_average(build_classifier: Build, make_batches: Batches) -> None:
    classifier = build_classifier()
    classifier.layers[0].trainable = False
    trainer = averaging(classifier, 0.99)
    before = classifier.get_weights()
    fit(trainer, make_batches(0), epochs=2)
    assert trainer.average is not None
    places = [weight is classifier.layers[0].weights[0] for weight in classifier.weights]
    assert sum(places) == 1
    for place, one, other in zip(places, before, trainer.average.get_weights(), strict=True):
        assert np.array_equal(one, other) == place


def test_classifier_gets_its_own_weights_back(build_classifier: Build) -> None:
    classifier = build_classifier()
    own = classifier.get_weights()
    average = WeightAverage(classifier, 0.9)
    average.set_weights([weight + 1 for weight in own])
    with pytest.raises(KeyboardInterrupt), average.applied_to(classifier) as averaged:
        for one, other in zip(averaged.get_weights(), own, strict=True):
            np.testing.assert_array_equal(one, other + 1)
        raise KeyboardInterrupt
    for one, other in zip(classifier.get_weights(), own, strict=True):
        np.testing.assert_array_equal(one, other)


def test_classifier_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="a classifier whose weights exist"):
        WeightAverage(keras.Sequential([keras.layers.Dense(2)]), 0.9)


def validation() -> RobustValidation:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    split = Examples(images, np.arange(12) % 3, np.arange(12))
    return RobustValidation(split, PGD(epsilon=0.02, num_steps=1))


def test_average_is_validated_beside_the_weights(
    build_classifier: Build, make_batches: Batches
) -> None:
    trainer, callback = averaging(build_classifier(), 0.9), validation()
    fit(trainer, make_batches(0), epochs=2)
    # An average that gives class 0 to everything is right, and robust, in a third of the images.
    bias = trainer.classifier.layers[-1].bias
    assert trainer.average is not None
    for average, weight in zip(trainer.average.weights, trainer.classifier.weights, strict=True):
        average.assign([1.0, 0.0, 0.0] if weight is bias else tf.zeros(weight.shape))
    callback.set_model(trainer)
    logs: dict[str, float] = {}
    raw = callback.measure(trainer.classifier)
    callback.on_epoch_end(0, logs)
    assert (logs["val_accuracy"], logs["val_robust_accuracy"]) == raw
    assert logs["val_ema_accuracy"] == pytest.approx(1 / 3)
    assert logs["val_ema_robust_accuracy"] == pytest.approx(1 / 3)
    assert callback.measure(trainer.classifier) == raw


def test_best_average_is_kept_as_a_plain_model(build_classifier: Build, tmp_path: Path) -> None:
    trainer = averaging(build_classifier(), 0.9)
    callback = BestAverage(tmp_path / "ema.keras", metric="score")
    callback.set_model(trainer)
    callback.on_train_begin()
    own = trainer.classifier.get_weights()
    assert trainer.average is not None
    for epoch, score in enumerate([0.3, 0.7, 0.7, float("nan"), 0.1]):
        trainer.average.set_weights([np.full_like(weight, epoch + 1) for weight in own])
        callback.on_epoch_end(epoch, {"score": score})
    kept = keras.saving.load_model(tmp_path / "ema.keras", safe_mode=True)
    assert type(kept) is keras.Sequential
    assert all(np.all(weight == 3) for weight in kept.get_weights())
    assert (callback.best_value, callback.best_epoch) == (0.7, 3)
    for one, other in zip(trainer.classifier.get_weights(), own, strict=True):
        np.testing.assert_array_equal(one, other)


def test_best_average_needs_an_average(build_classifier: Build, tmp_path: Path) -> None:
    trainer = StandardTrainer(build_classifier())
    callback = BestAverage(tmp_path / "ema.keras")
    callback.set_model(trainer)
    with pytest.raises(InputError, match=r"no average.*StepOptions\(ema_decay=0.999\)"):
        callback.on_train_begin()


@pytest.mark.slow
def test_resumed_run_keeps_the_average_to_the_last_bit(
    build_classifier: Build, make_batches: Batches, tmp_path: Path
) -> None:
    """With every option, an attack, a regularizer and validation in between."""

    def run(folder: Path, epochs: int, resume: bool = False) -> list[dict[str, float]]:
        attack = PGD(epsilon=0.05, num_steps=1)
        trainer = ATTrainer(build_classifier(), attack=attack, regularizers=[LSP()], seed=2)
        trainer.configure(
            StepOptions(label_smoothing=0.1, awp_gamma=0.01, awp_warmup_steps=4, ema_decay=0.9)
        )
        trainer.compile(CoupledSGD(0.1, weight_decay=1e-3, global_clipnorm=1.0))
        return run_training(
            trainer,
            make_batches,
            epochs=epochs,
            callbacks=[
                validation(),
                BestAndLast(folder / "best.keras", folder / "last.keras"),
                BestAverage(folder / "ema.keras"),
            ],
            state_dir=folder,
            resume=resume,
            deterministic=False,
        )

    run(tmp_path / "parts", 1)
    history = run(tmp_path / "parts", 3, resume=True)
    assert history == run(tmp_path / "whole", 3)
    assert {"val_accuracy", "val_ema_accuracy", "val_ema_robust_accuracy"} <= history[0].keys()
    states = [np.load(tmp_path / name / "state.npz") for name in ("parts", "whole")]
    assert states[0].files == states[1].files
    for name in states[0].files:
        np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)
    for name in ("last.keras", "ema.keras"):
        models = [keras.saving.load_model(tmp_path / part / name) for part in ("parts", "whole")]
        for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
