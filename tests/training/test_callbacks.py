import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras.attacks.pgd import PGD
from lsp_keras.training import BestAndLast, HistoryCSV, RobustValidation
from lsp_keras.types import Split
from lsp_keras.validation import InputError


def brightness_classifier(threshold: float = 0.5) -> keras.Model:
    """Class 1 where the mean brightness is above the threshold."""
    images = keras.Input((2, 2, 1))
    mean = keras.layers.GlobalAveragePooling2D()(images)
    outputs = keras.layers.Dense(2, name="logits")(mean)
    model = keras.Model(images, outputs)
    model.layers[-1].set_weights([np.asarray([[0.0, 10.0]]), np.asarray([10 * threshold, 0.0])])
    return model


def split_of(levels: list[int], labels: list[int]) -> Split:
    images = np.zeros((len(levels), 2, 2, 1), np.uint8) + np.reshape(levels, (-1, 1, 1, 1))
    return Split(images.astype(np.uint8), np.asarray(labels), np.arange(len(levels)))


def attach(callback: Any, model: keras.Model) -> None:
    callback.set_model(SimpleNamespace(classifier=model, average=None))


def test_robust_validation_counts_what_survives_the_budget() -> None:
    # Far above, near above, near below, far below, and one that is wrong from the start.
    split = split_of([250, 130, 125, 10, 250], [1, 1, 0, 0, 0])
    callback = RobustValidation(split, PGD(epsilon=0.1, num_steps=3), batch_size=2)
    attach(callback, brightness_classifier())
    logs: dict[str, float] = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "val_accuracy": 0.8, "val_robust_accuracy": 0.4}


def test_robust_validation_does_not_depend_on_the_batch_size() -> None:
    levels = list(range(80, 180, 4))
    split = split_of(levels, [int(level > 127) for level in levels])
    measured = [
        RobustValidation(
            split, PGD(epsilon=0.05, num_steps=1, step_size=0.03), batch_size=size
        ).measure(brightness_classifier())
        for size in (3, 25)
    ]
    assert measured[0] == measured[1]
    assert 0 < measured[0][1] < 1


def test_robust_validation_needs_images() -> None:
    with pytest.raises(InputError, match="needs images"):
        RobustValidation(split_of([], []), PGD(epsilon=0.1))


def test_best_and_last_keep_the_first_of_equal_epochs(tmp_path: Path) -> None:
    callback = BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras", metric="score")
    for epoch, score in enumerate([0.2, float("nan"), 0.6, 0.6, 0.5]):
        attach(callback, brightness_classifier(threshold=epoch / 10))
        callback.on_epoch_end(epoch, {"score": score})
    best, last = (
        keras.saving.load_model(tmp_path / f"{name}.keras", safe_mode=True).get_weights()[1][0]
        for name in ("best", "last")
    )
    assert (best, last) == (pytest.approx(10 * 0.2), pytest.approx(10 * 0.4))
    assert (callback.best_value, callback.best_epoch) == (0.6, 3)


def test_best_is_remembered(tmp_path: Path) -> None:
    first, second = (
        BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras", metric="score")
        for _ in range(2)
    )
    attach(first, brightness_classifier(0.1))
    first.on_epoch_end(0, {"score": 0.9})
    second.set_state(first.get_state())
    attach(second, brightness_classifier(0.2))
    second.on_epoch_end(1, {"score": 0.8})
    best = keras.saving.load_model(tmp_path / "best.keras")
    assert best.get_weights()[1][0] == pytest.approx(1.0)


def test_metric_that_is_not_logged_is_named(tmp_path: Path) -> None:
    callback = BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras", metric="val_acc")
    attach(callback, brightness_classifier())
    with pytest.raises(InputError, match=r"no metric 'val_acc'.*The logs hold: loss, val_accuracy"):
        callback.on_epoch_end(0, {"val_accuracy": 0.5, "loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_history_keeps_earlier_rows_and_drops_later_ones(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    for epoch in range(3):
        HistoryCSV(path).on_epoch_end(epoch, {"loss": 3.0 - epoch})
    resumed = HistoryCSV(path)
    resumed.on_epoch_end(1, {"loss": 0.125, "lsp": 0.5})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "1", "loss": "3.0", "lsp": ""},
        {"epoch": "2", "loss": "0.125", "lsp": "0.5"},
    ]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for name in ("best.keras", "last.keras", "history.csv"):
        (tmp_path / f".1234abcd.{name}").write_bytes(b"half")
    BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras").on_train_begin()
    HistoryCSV(tmp_path / "history.csv").on_train_begin()
    assert list(tmp_path.iterdir()) == []
