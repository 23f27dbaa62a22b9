"""The guard: what it compares, what it gives back, and that a killed run goes on the same way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import FastATTrainer, NuATTrainer, StepOptions
from lsp_keras.training import (
    BestAndLast,
    BestAverage,
    CoupledSGD,
    HistoryCSV,
    OverfittingGuard,
    RobustValidation,
    run_training,
    schedule,
)
from lsp_keras.training.state import variables_of
from lsp_keras.types import Examples
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]
Batches = Callable[[int], tf.data.Dataset]

EPSILON, STEPS = 0.3, 3
# Below any difference less two standard errors of few images: every epoch counts as outwitted.
ALWAYS, NEVER = -2.0, 0.999


@pytest.fixture
def held_out(toy: Toy) -> Examples:
    images = np.round(toy["images"] * 255).astype(np.uint8)
    return Examples(images, toy["labels"], toy["indices"])


def make_trainer(build: Build, kind: type[Any] = FastATTrainer, epochs: int = 4) -> Any:
    trainer = kind(build(), epsilon=EPSILON, seed=2)
    trainer.configure(StepOptions(ema_decay=0.9))
    rate = schedule("one_cycle", 0.3, epochs * STEPS)
    trainer.compile(CoupledSGD(rate, weight_decay=1e-3), metrics=["accuracy"])
    return trainer


def make_callbacks(
    split: Examples, said: list[str], gap: float, radius: float = 2 * EPSILON
) -> list[keras.callbacks.Callback]:
    """Validation at twice the radius, so that robustness lies below the attack's own images."""
    validation = RobustValidation(split, PGD(epsilon=radius, num_steps=3), batch_size=16)
    guard = OverfittingGuard(validation, announce=said.append)
    # A gap that users cannot set.
    guard.gap = gap
    return [validation, guard]


class Snapshots(keras.callbacks.Callback):
    """Keeps all variables before the guard sees an epoch, and after it."""

    def __init__(self, into: list[dict[str, np.ndarray]]) -> None:
        super().__init__()
        self.into = into

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.into.append({k: np.array(v) for k, v in variables_of(self.model).items()})


def test_own_accuracy_is_that_of_the_training_attack(
    build_classifier: Build, toy: Toy, held_out: Examples, make_batches: Batches
) -> None:
    said: list[str] = []
    trainer = make_trainer(build_classifier)
    history = run_training(
        trainer,
        make_batches,
        epochs=1,
        callbacks=make_callbacks(held_out, said, NEVER),
        deterministic=False,
    )
    correct = 0
    for rows in (np.arange(16), np.arange(16, 32), np.arange(32, 40)):
        batch = {
            "images": tf.constant(held_out.images[rows].astype(np.float32) / 255),
            "labels": tf.constant(held_out.labels[rows]),
            "indices": tf.constant(rows),
        }
        logits = trainer.classifier(trainer.perturb(batch), training=False)
        correct += int(np.sum(np.argmax(logits, axis=1) == held_out.labels[rows]))
    assert history[0]["val_train_attack_accuracy"] == correct / 40
    gap = history[0]["val_train_attack_accuracy"] - history[0]["val_robust_accuracy"]
    assert history[0]["attack_gap"] == pytest.approx(gap)
    assert history[0]["attack_strength"] == 0
    assert not said


@pytest.mark.parametrize("kind", [FastATTrainer, pytest.param(NuATTrainer, marks=pytest.mark.slow)])
def test_goes_back_to_the_last_good_state_with_a_stronger_attack(
    kind: type[Any], build_classifier: Build, held_out: Examples, make_batches: Batches
) -> None:
    said: list[str] = []
    trainer = make_trainer(build_classifier, kind)
    before: list[dict[str, np.ndarray]] = []
    after: list[dict[str, np.ndarray]] = []
    validation, guard = make_callbacks(held_out, said, NEVER)

    class Plan(keras.callbacks.Callback):
        """Lets the guard find the second and the third epoch outwitted."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            guard.gap = ALWAYS if epoch in (1, 2) else NEVER

    history = run_training(
        trainer,
        make_batches,
        epochs=4,
        callbacks=[Plan(), Snapshots(before), validation, guard, Snapshots(after)],
        deterministic=False,
    )
    assert [row["attack_strength"] for row in history] == [0, 1, 2, 2]
    counted = [k for k, v in variables_of(trainer).items() if v.name in ("iteration", "strength")]
    assert len(counted) == 2
    for epoch in (1, 2):
        for name, value in after[epoch].items():
            if name not in counted:
                np.testing.assert_array_equal(value, after[0][name])
        assert any(
            np.abs(value - after[0][name]).max() > 0
            for name, value in before[epoch].items()
            if name not in counted
        )
    # What the logs say is true of the weights that the run goes on with.
    for name in ("val_accuracy", "val_robust_accuracy", "val_ema_robust_accuracy"):
        assert history[1][name] == history[2][name] == history[0][name]
    # The schedule goes on.
    assert int(trainer.optimizer.iterations) == 4 * STEPS
    assert history[1]["learning_rate"] != history[0]["learning_rate"]
    assert guard.good_epoch == 4
    assert len(said) == 2
    assert said[0].startswith("Catastrophic overfitting in epoch 2: of held-out images")
    length = 255 * EPSILON
    assert said[0].endswith(
        f"the weights of epoch 1 and goes on with 2 steps of {length / 2:.3g}/255 each."
    )
    assert said[1].endswith(f"goes on with 3 steps of {length / 3:.3g}/255 each.")


@pytest.mark.parametrize(("num_images", "parts"), [(40, False), (4000, True)])
def test_few_images_must_differ_by_more(
    num_images: int,
    parts: bool,
    build_classifier: Build,
    toy: Toy,
    held_out: Examples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0.5 against 0.35: the standard error is 0.109 with 40 images, and 0.011 with 4,000."""
    repeats = num_images // 40
    split = Examples(
        np.tile(held_out.images, (repeats, 1, 1, 1)),
        np.tile(held_out.labels, repeats),
        np.arange(num_images),
    )
    said: list[str] = []
    validation, guard = make_callbacks(split, said, 0.1)
    validation.batch_size = 1000
    for callback in (validation, guard):
        callback.set_model(make_trainer(build_classifier))
    monkeypatch.setattr(guard, "_own_accuracy", lambda: 0.5)
    guard.on_train_begin()
    guard.on_epoch_end(0, {"val_robust_accuracy": 0.35})
    assert bool(said) == parts


def test_first_epoch_goes_back_to_the_start(
    build_classifier: Build, held_out: Examples, make_batches: Batches
) -> None:
    said: list[str] = []
    trainer = make_trainer(build_classifier)
    start = trainer.classifier.get_weights()
    callbacks = make_callbacks(held_out, said, NEVER)
    callbacks[1].gap = -2.0
    run_training(trainer, make_batches, epochs=1, callbacks=callbacks, deterministic=False)
    for one, other in zip(trainer.classifier.get_weights(), start, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "back to the weights at the start" in said[0]


def test_measures_at_its_own_radius_where_validation_has_another(
    build_classifier: Build, held_out: Examples, make_batches: Batches
) -> None:
    validation = RobustValidation(held_out, PGD(epsilon=0.01, num_steps=1), batch_size=16)
    threat = RobustValidation(held_out, PGD(epsilon=0.9, num_steps=3), batch_size=16)
    trainer = make_trainer(build_classifier)
    guard = OverfittingGuard(validation, threat=threat, gap=NEVER)
    (row,) = run_training(
        trainer, make_batches, epochs=1, callbacks=[validation, guard], deterministic=False
    )
    expected = threat.measure(trainer.classifier)[1]
    assert row["val_train_attack_accuracy"] - row["attack_gap"] == pytest.approx(expected)
    assert row["val_robust_accuracy"] > expected


def train(folder: Path, build: Build, split: Examples, batches: Batches, epochs: int) -> list[str]:
    """One call of a run that is cut after some epochs."""
    said: list[str] = []
    trainer = make_trainer(build)
    callbacks = [
        *make_callbacks(split, said, ALWAYS),
        BestAndLast(folder / "best.keras", folder / "last.keras"),
        BestAverage(folder / "ema.keras"),
        HistoryCSV(folder / "history.csv"),
    ]
    run_training(
        trainer,
        batches,
        epochs=epochs,
        callbacks=callbacks,
        state_dir=folder,
        resume=True,
        deterministic=False,
    )
    return said


# Each part is traced anew.
@pytest.mark.parametrize("ends", [(2, 4), pytest.param((1, 2, 3, 4), marks=pytest.mark.slow)])
def test_resumed_run_is_the_same_bit_for_bit(
    ends: tuple[int, ...],
    build_classifier: Build,
    held_out: Examples,
    make_batches: Batches,
    tmp_path: Path,
) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = train(tmp_path / "whole", build_classifier, held_out, make_batches, 4)
    cut = [
        text
        for epochs in ends
        for text in train(tmp_path / "cut", build_classifier, held_out, make_batches, epochs)
    ]
    assert cut == whole
    assert 0 < len(whole) <= 4
    tables = [(tmp_path / name / "history.csv").read_text() for name in ("whole", "cut")]
    assert tables[0] == tables[1]
    with (
        np.load(tmp_path / "whole" / "state.npz") as one,
        np.load(tmp_path / "cut" / "state.npz") as other,
    ):
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


def test_gap_is_checked(held_out: Examples) -> None:
    validation = RobustValidation(held_out, PGD(epsilon=0.01, num_steps=1))
    with pytest.raises(InputError, match="`gap` must be greater than zero"):
        OverfittingGuard(validation, gap=0.0)
