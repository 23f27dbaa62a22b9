import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.errors import CollapseError
from lsp_keras.methods import StandardTrainer
from lsp_keras.training import (
    BestAndLast,
    CollapseGuard,
    CoupledSGD,
    EarlyStopping,
    HistoryCSV,
    run_training,
)
from lsp_keras.validation import InputError

# Chance is 30 % and its standard error sqrt(0.3 * 0.7 / 100), four of which make 18.3 %.
LABELS = np.repeat(np.arange(4), [30, 30, 20, 20])


class Scripted(keras.callbacks.Callback):
    """Puts given values into the logs in place of measured ones."""

    def __init__(self, name: str, values: Sequence[float]) -> None:
        super().__init__()
        self.name = name
        self.values = values

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs[self.name] = self.values[epoch]


def stopped_after(callback: EarlyStopping, values: Sequence[float], first: int = 0) -> int | None:
    """Epoch, from 1, after which the callback ends a run with these values."""
    callback.set_model(SimpleNamespace(stop_training=False))
    for epoch, value in enumerate(values, start=first):
        callback.on_epoch_end(epoch, {"val_robust_accuracy": value})
        if callback.model.stop_training:
            return epoch + 1
    return None


@pytest.mark.parametrize(
    ("patience", "values", "expected"),
    [
        (1, [0.1, 0.2, 0.2], 3),  # an equal value is no gain
        (2, [0.1, 0.3, 0.2, 0.31, 0.3, 0.3], 6),  # a gain starts the count anew
        (3, [0.4, 0.3, 0.2], None),
        (3, [0.4, 0.3, 0.2, 0.1], 4),
        (2, [0.4, float("nan"), float("nan")], 3),
        (2, [0.1, 0.2, 0.3, 0.4], None),
    ],
)
def test_early_stopping_counts_epochs_without_gain(
    patience: int, values: list[float], expected: int | None
) -> None:
    assert stopped_after(EarlyStopping(patience, announce=lambda text: None), values) == expected


def test_early_stopping_says_why() -> None:
    said: list[str] = []
    stopped_after(EarlyStopping(2, announce=said.append), [0.25, 0.375, 0.25, 0.375])
    assert said == [
        "Stopped early after epoch 4: `val_robust_accuracy` has not grown since epoch 2 (0.375)."
    ]


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_early_stopping_counts_on_after_a_resume(cut: int) -> None:
    values = [0.2, 0.3, 0.1, 0.25, 0.3, 0.9]
    first, second = (EarlyStopping(3, announce=lambda text: None) for _ in range(2))
    assert stopped_after(first, values[:cut]) is None
    second.set_state(json.loads(json.dumps(first.get_state(), allow_nan=False)))
    assert stopped_after(second, values[cut:], first=cut) == 5


def test_early_stopping_refuses_what_cannot_work() -> None:
    with pytest.raises(InputError, match="`patience` must be greater than zero"):
        EarlyStopping(0)
    with pytest.raises(InputError, match=r"no metric 'val_robust_accuracy'.*The logs hold: loss"):
        EarlyStopping(1).on_epoch_end(0, {"loss": 1.0})


def after(guard: CollapseGuard, values: Sequence[float]) -> CollapseGuard:
    for epoch, value in enumerate(values):
        guard.on_epoch_end(epoch, {"val_accuracy": value})
    return guard


def test_chance_is_the_largest_class_and_its_binomial_spread() -> None:
    guard = CollapseGuard(LABELS)
    assert guard.chance == 0.3
    assert guard.clear == pytest.approx(0.3 + 4 * np.sqrt(0.3 * 0.7 / 100))
    many = CollapseGuard(np.repeat(LABELS, 100))
    assert many.clear == pytest.approx(0.3 + 4 * np.sqrt(0.3 * 0.7 / 10_000))


@pytest.mark.parametrize("fallen", [0.3, 0.1, 0.0, float("nan")])
def test_a_fall_to_chance_ends_the_run(fallen: float) -> None:
    with pytest.raises(CollapseError) as error:
        after(CollapseGuard(LABELS), [0.3, 0.5, 0.45, fallen])
    assert str(error.value) == (
        f"Validation accuracy fell to chance in epoch 4: {fallen:.1%}, after 50.0% in epoch 2; "
        "the largest class alone gives 30.0%. Lower the weight of added losses or warm them up "
        "for more epochs, clip the gradient, or lower the learning rate."
    )


@pytest.mark.parametrize(
    "values",
    [
        [0.3, 0.48, 0.3, 0.2],  # within the spread of chance, so nothing was lost
        [0.5, 0.31],  # a bad epoch that is still above chance
        [0.1, 0.2, 0.3],
    ],
)
def test_other_histories_go_on(values: list[float]) -> None:
    after(CollapseGuard(LABELS), values)


def test_the_guard_remembers_across_a_resume() -> None:
    resumed = CollapseGuard(LABELS)
    resumed.set_state(json.loads(json.dumps(after(CollapseGuard(LABELS), [0.2, 0.6]).get_state())))
    with pytest.raises(CollapseError, match=r"after 60.0% in epoch 2"):
        resumed.on_epoch_end(2, {"val_accuracy": 0.3})


def test_a_guard_that_may_not_stop_announces_the_collapse() -> None:
    said: list[str] = []
    guard = after(CollapseGuard(LABELS, stop=False, announce=said.append), [0.6, 0.3, 0.6])
    guard.on_train_end()
    assert [text.split(":")[0] for text in said] == [
        "Validation accuracy fell to chance in epoch 2"
    ]


def test_a_run_that_never_left_chance_says_so_at_its_end() -> None:
    said: list[str] = []
    after(CollapseGuard(LABELS, announce=said.append), [0.3, 0.4, 0.2]).on_train_end()
    assert said == [
        "Validation accuracy was never clearly above chance: at best 40.0%, in epoch 2. The "
        "largest class alone gives 30.0%, and with 100 images only more than 48.3% is clear. "
        "Train longer, change the learning rate, or weaken attack and added losses."
    ]
    after(CollapseGuard(LABELS, announce=said.append), [0.3, 0.6]).on_train_end()
    assert len(said) == 1


def test_too_few_images_to_tell_are_no_reason_to_speak_or_stop() -> None:
    said: list[str] = []
    after(CollapseGuard(np.asarray([0, 1, 1]), announce=said.append), [1.0, 0.0]).on_train_end()
    assert said == []
    with pytest.raises(InputError, match="needs validation labels"):
        CollapseGuard(np.asarray([], np.int64))


Make = Callable[[], keras.Model]
Batches = Callable[[int], tf.data.Dataset]


def run(build: Make, batches: Batches, folder: Path, values: Sequence[float], **options: Any):
    """A run with all callbacks, whose validation accuracy is given; its trainer and history."""
    trainer = StandardTrainer(build())
    trainer.compile(CoupledSGD(0.1), metrics=["accuracy"])
    history = run_training(
        trainer,
        batches,
        callbacks=[
            Scripted("val_accuracy", values),
            CollapseGuard(LABELS, announce=lambda text: None),
            BestAndLast(folder / "best.keras", folder / "last.keras", metric="val_accuracy"),
            EarlyStopping(2, metric="val_accuracy", announce=lambda text: None),
            HistoryCSV(folder / "history.csv"),
        ],
        state_dir=folder,
        deterministic=False,
        **options,
    )
    return trainer, history


def test_a_stopped_run_stays_stopped_also_when_resumed_before_its_stop(
    build_classifier: Make, make_batches: Batches, tmp_path: Path
) -> None:
    values = [0.5, 0.6, 0.55, 0.6, 0.9, 0.9]
    run(build_classifier, make_batches, tmp_path, values, epochs=3)
    for _ in range(2):
        trainer, history = run(
            build_classifier, make_batches, tmp_path, values, epochs=6, resume=True
        )
        assert [row["val_accuracy"] for row in history] == values[:4]
        assert int(trainer.optimizer.iterations) == 4 * 3


def test_a_collapsed_run_keeps_the_files_of_the_epoch_before(
    build_classifier: Make, make_batches: Batches, tmp_path: Path
) -> None:
    run(build_classifier, make_batches, tmp_path, [0.5, 0.6], epochs=2)
    names = ("state.npz", "previous.npz", "best.keras", "last.keras", "history.csv")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    with pytest.raises(
        CollapseError, match=r"fell to chance in epoch 3.*written is that of epoch 2, the last good"
    ):
        run(build_classifier, make_batches, tmp_path, [0.5, 0.6, 0.3], epochs=4, resume=True)
    assert before == {name: (tmp_path / name).read_bytes() for name in names}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_memory_is_kept_where_a_callback_is_added_before(
    build_classifier: Make, make_batches: Batches, tmp_path: Path
) -> None:
    def stop_after(callbacks: list[Any], **options: Any) -> int:
        trainer = StandardTrainer(build_classifier())
        trainer.compile(CoupledSGD(0.1), metrics=["accuracy"])
        scripted = Scripted("val_accuracy", [0.9, 0.5, 0.6, 0.7, 0.8])
        options |= {"state_dir": tmp_path, "deterministic": False}
        return len(run_training(trainer, make_batches, callbacks=[scripted, *callbacks], **options))

    def early() -> EarlyStopping:
        return EarlyStopping(2, metric="val_accuracy", announce=lambda text: None)

    stop_after([early()], epochs=2)
    assert stop_after([CollapseGuard(LABELS), early()], epochs=5, resume=True) == 3
