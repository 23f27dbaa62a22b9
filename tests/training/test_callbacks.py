import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras.attacks.pgd import PGD
from lsp_keras.processes import process_mark
from lsp_keras.training import BestAndLast, HistoryCSV, RobustValidation
from lsp_keras.types import Examples
from lsp_keras.validation import InputError


def brightness_classifier(threshold: float = 0.5) -> keras.Model:
    """Class 1 where the mean brightness is above the threshold."""
    images = keras.Input((2, 2, 1))
    mean = keras.layers.GlobalAveragePooling2D()(images)
    outputs = keras.layers.Dense(2, name="logits")(mean)
    model = keras.Model(images, outputs)
    model.layers[-1].set_weights([np.asarray([[0.0, 10.0]]), np.asarray([10 * threshold, 0.0])])
    return model


def split_of(levels: list[int], labels: list[int]) -> Examples:
    images = np.zeros((len(levels), 2, 2, 1), np.uint8) + np.reshape(levels, (-1, 1, 1, 1))
    return Examples(images.astype(np.uint8), np.asarray(labels), np.arange(len(levels)))


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


def test_best_and_last_break_ties_by_the_loss_and_then_the_epoch(tmp_path: Path) -> None:
    callback = BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras", metric="score")
    epochs = [(0.2, 1.0), (float("nan"), 0.0), (0.6, 0.4), (0.6, 0.3), (0.6, 0.3), (0.6, 0.5)]
    for epoch, (score, loss) in enumerate(epochs):
        attach(callback, brightness_classifier(threshold=epoch / 10))
        callback.on_epoch_end(epoch, {"score": score, "loss": loss})
    best, last = (
        keras.saving.load_model(tmp_path / f"{name}.keras", safe_mode=True).get_weights()[1][0]
        for name in ("best", "last")
    )
    assert (best, last) == (pytest.approx(10 * 0.4), pytest.approx(10 * 0.5))
    assert (callback.best_value, callback.best_epoch) == (0.6, 5)


def test_ties_are_broken_across_a_resume(tmp_path: Path) -> None:
    first, second, third = (
        BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras") for _ in range(3)
    )
    logs = {"val_robust_accuracy": 0.5, "val_accuracy": 0.9, "loss": 1.0}
    attach(first, brightness_classifier())
    first.on_epoch_end(0, logs)
    second.set_state(json.loads(json.dumps(first.get_state())))
    attach(second, brightness_classifier())
    second.on_epoch_end(1, {**logs, "val_accuracy": 0.8})
    assert second.best_epoch == 1
    second.on_epoch_end(2, {**logs, "loss": float("nan")})
    assert second.best_epoch == 1
    second.on_epoch_end(3, {**logs, "loss": 0.9})
    assert second.best_epoch == 4
    third.set_state({"best_value": 0.5, "best_epoch": 1})
    attach(third, brightness_classifier())
    third.on_epoch_end(1, logs)
    assert third.best_epoch == 2


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


@pytest.mark.parametrize("content", [b"", b"epoch", b"a,b\n1,2\n", b"epoch\nx\n", b"\xff\xfe\x00"])
def test_a_damaged_history_is_written_again_from_the_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.csv"
    first, resumed, alone = (HistoryCSV(path) for _ in range(3))
    first.on_epoch_end(0, {"loss": 3.0})
    first.on_epoch_end(1, {"loss": 2.0, "lsp": 0.5})
    path.write_bytes(content)
    resumed.set_state(json.loads(json.dumps(first.get_state())))
    resumed.on_epoch_end(2, {"loss": 1.0})
    assert path.read_text().splitlines() == ["epoch,loss,lsp", "1,3.0,", "2,2.0,0.5", "3,1.0,"]
    path.write_bytes(content)
    alone.on_epoch_end(2, {"loss": 1.0})
    assert path.read_text().splitlines() == ["epoch,loss", "3,1.0"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    machine, number, _ = process_mark().split("-")
    for place, folder in enumerate(("models", "table")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f".tmp-{machine}-{number}-1-{place}abcdef0").write_bytes(b"half")
    keeper = BestAndLast(tmp_path / "models" / "best.keras", tmp_path / "models" / "last.keras")
    keeper.on_train_begin()
    HistoryCSV(tmp_path / "table" / "history.csv").on_train_begin()
    assert [*(tmp_path / "models").iterdir(), *(tmp_path / "table").iterdir()] == []
