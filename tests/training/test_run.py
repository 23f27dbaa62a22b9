import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lsp_keras.attacks.pgd import PGD
from lsp_keras.errors import NonFiniteLossError
from lsp_keras.methods import ATTrainer, RobustTrainer, StandardTrainer
from lsp_keras.methods import _trainer as trainer_module
from lsp_keras.processes import process_mark
from lsp_keras.regularizers import LSP
from lsp_keras.training import BestAndLast, CoupledSGD, run_training, schedule
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Batches = Callable[[int], tf.data.Dataset]
STEPS = 3


@pytest.fixture
def make_trainer(build_classifier: Build) -> Callable[[], RobustTrainer]:
    def make() -> RobustTrainer:
        trainer = StandardTrainer(build_classifier(), regularizers=[LSP()])
        trainer.compile(CoupledSGD(schedule("cosine", 0.1, 4 * STEPS)), metrics=["accuracy"])
        return trainer

    return make


class Events(keras.callbacks.Callback):
    """Notes what is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.seen.append("begin")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(f"epoch {epoch} of {self.params['epochs']}, {self.params['steps']} steps")

    def on_train_end(self, logs: Any = None) -> None:
        self.seen.append("end")


def run(trainer: RobustTrainer, batches: Batches, **options: Any) -> list[dict[str, float]]:
    return run_training(trainer, batches, deterministic=False, **options)


def test_is_one_training_for_its_callbacks(
    make_trainer: Callable[[], RobustTrainer], make_batches: Batches
) -> None:
    events, asked = Events(), []
    trainer = make_trainer()

    def batches(epoch: int) -> tf.data.Dataset:
        asked.append(epoch)
        return make_batches(epoch)

    history = run(trainer, batches, epochs=2, callbacks=[events])
    assert asked == [0, 1]
    assert events.seen == ["begin", "epoch 0 of 2, 3 steps", "epoch 1 of 2, 3 steps", "end"]
    assert [row["epoch"] for row in history] == [1, 2]
    assert set(history[0]) == {
        *("epoch", "loss", "cross_entropy", "lsp", "accuracy", "learning_rate")
    }
    # A cosine over four epochs, after the first and the second.
    np.testing.assert_allclose(
        [row["learning_rate"] for row in history],
        [0.1 * (1 + np.cos(np.pi * part)) / 2 for part in (0.25, 0.5)],
        rtol=1e-5,
    )


def test_equals_one_fit_on_the_same_batches(
    make_trainer: Callable[[], RobustTrainer], make_batches: Batches
) -> None:
    by_epoch, at_once = make_trainer(), make_trainer()
    run(by_epoch, make_batches, epochs=2)
    both = make_batches(0).concatenate(make_batches(1))
    at_once.fit(both, verbose=0, shuffle=False)
    for one, other in zip(by_epoch.get_weights(), at_once.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_early_stop_outlives_a_resume(
    make_trainer: Callable[[], RobustTrainer], make_batches: Batches, tmp_path: Path
) -> None:
    class StopAfterTwo(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    options: dict[str, Any] = {"epochs": 4, "state_dir": tmp_path, "callbacks": [StopAfterTwo()]}
    first = run(make_trainer(), make_batches, **options)
    assert len(first) == 2
    resumed = make_trainer()
    assert run(resumed, make_batches, **options, resume=True) == first
    assert int(resumed.optimizer.iterations) == 2 * STEPS


def test_finished_run_can_be_prolonged(
    build_classifier: Build, make_batches: Batches, tmp_path: Path
) -> None:
    """Also the attack's random starts are those of an unbroken run."""

    def make_trainer() -> RobustTrainer:
        attack = PGD(epsilon=0.05, num_steps=1)
        trainer = ATTrainer(build_classifier(), attack=attack, regularizers=[LSP()], seed=2)
        trainer.compile(CoupledSGD(0.1, weight_decay=1e-3))
        return trainer

    run(make_trainer(), make_batches, epochs=1, state_dir=tmp_path)
    prolonged, unbroken = make_trainer(), make_trainer()
    history = run(prolonged, make_batches, epochs=3, state_dir=tmp_path, resume=True)
    assert history == run(unbroken, make_batches, epochs=3)
    for one, other in zip(prolonged.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_new_run_forgets_an_older_state(
    make_trainer: Callable[[], RobustTrainer], make_batches: Batches, tmp_path: Path
) -> None:
    run(make_trainer(), make_batches, epochs=2, state_dir=tmp_path)
    machine, number, _ = process_mark().split("-")
    ended = f"{machine}-{number}-1"
    (tmp_path / f".tmp-{ended}-0a1b2c3d.npz").write_bytes(b"half-written")

    def interrupted(epoch: int) -> tf.data.Dataset:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(make_trainer(), interrupted, epochs=2, state_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_state_of_another_model_is_refused(
    make_trainer: Callable[[], RobustTrainer], make_batches: Batches, tmp_path: Path
) -> None:
    run(make_trainer(), make_batches, epochs=1, state_dir=tmp_path)
    other = make_trainer()
    other.compile(keras.optimizers.Adam())
    with pytest.raises(InputError, match="state of a run with another model or optimizer"):
        run(other, make_batches, epochs=2, state_dir=tmp_path, resume=True)


def test_loss_that_turns_nan_unseen_keeps_the_last_good_files(
    make_trainer: Callable[[], RobustTrainer],
    make_batches: Batches,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As under XLA, which drops the check inside the step."""
    monkeypatch.setattr(trainer_module, "check_finite", lambda values, term: values)
    # NaN images give the NaN logits of a network that broke; images themselves are refused.
    monkeypatch.setattr("lsp_keras.methods._batches.checked_images", lambda images: images)
    poison = {"epoch": 1}

    def batches(epoch: int) -> tf.data.Dataset:
        factor = float("nan") if epoch == poison["epoch"] else 1.0
        return make_batches(epoch).map(lambda item: {**item, "images": item["images"] * factor})

    keep = BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras", metric="accuracy")
    with pytest.raises(
        NonFiniteLossError,
        match=r"Lower the learning rate.* ended in epoch 2: what it has written is that of epoch 1",
    ):
        run(make_trainer(), batches, epochs=3, callbacks=[keep], state_dir=tmp_path)
    weights = keras.saving.load_model(tmp_path / "last.keras").get_weights()
    assert all(np.isfinite(weight).all() for weight in weights)
    resumed = make_trainer()
    run(resumed, make_batches, epochs=1, state_dir=tmp_path, resume=True)
    for one, other in zip(resumed.classifier.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wrong_use_is_named(
    make_trainer: Callable[[], RobustTrainer], build_classifier: Build, make_batches: Batches
) -> None:
    with pytest.raises(InputError, match=r"Call `trainer.compile\(...\)`"):
        run(StandardTrainer(build_classifier()), make_batches, epochs=1)
    with pytest.raises(InputError, match="`epochs` must be greater than zero"):
        run(make_trainer(), make_batches, epochs=0)
    with pytest.raises(InputError, match="needs the `state_dir`"):
        run(make_trainer(), make_batches, epochs=1, resume=True)
    averaged = make_trainer()
    averaged.compile(keras.optimizers.SGD(0.1, use_ema=True))
    with pytest.raises(InputError, match="`use_ema` replaces the weights"):
        run(averaged, make_batches, epochs=1)


def weights_of(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path, safe_mode=True).get_weights()


# Two by default, while the state is written and before a rename: each child traces for seconds.
@pytest.mark.parametrize(
    "plans",
    [
        ["state:2", "rename:2"],
        pytest.param(
            ["step:2", "state:1", "rename:2", "model:2", "table:2", "time:1"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["two", "all"],
)
def test_killed_run_ends_with_the_weights_of_an_unbroken_one(
    plans: list[str], tmp_path: Path
) -> None:
    """SIGKILL in a step, while writing state, models and table, before a rename, at any time."""
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    driver = Path(__file__).with_name("kill_driver.py")
    result = subprocess.run(
        [sys.executable, str(driver), str(unbroken), str(killed), *plans],
        capture_output=True,
        text=True,
        timeout=250,
    )
    statuses = [line.rsplit(" ", 1) for line in result.stdout.splitlines()]
    if statuses[-2] == ["time:1", "0"]:
        statuses[-2][1] = "9"  # a machine fast enough to end before
    killed_by_signal = [[plan, "9"] for plan in plans]
    assert statuses == [["unbroken", "0"], *killed_by_signal, ["resumed", "0"]], result.stderr

    with np.load(unbroken / "state.npz") as one, np.load(killed / "state.npz") as other:
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert (unbroken / "history.csv").read_text() == (killed / "history.csv").read_text()
    for name in ("best.keras", "last.keras"):
        pairs = zip(weights_of(unbroken / name), weights_of(killed / name), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert sorted(path.name for path in killed.iterdir()) == [
        *("best.keras", "history.csv", "last.keras", "previous.npz", "state.npz", "tensorboard")
    ]
    assert len(list((killed / "tensorboard").iterdir())) > 1
    assert_events_are_the_history(killed)


def assert_events_are_the_history(folder: Path) -> None:
    """One point for each epoch, although several processes wrote them."""
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = set(rows[0]) - {"epoch"}
    assert set(events.Tags()["scalars"]) == names
    for name in names:
        written = [(event.step, event.value) for event in events.Scalars(name)]
        assert written == [(int(row["epoch"]), np.float32(row[name])) for row in rows], name
