"""`lsp-keras fit` where training goes wrong: what it says, and which files remain."""

import csv
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lsp_keras.cli.main import main
from lsp_keras.datasets import EpochBatches
from lsp_keras.methods import _batches
from lsp_keras.runs import FitConfig
from lsp_keras.types import DatasetInfo

# The module; the package's own `fit` is the function.
_run = import_module("lsp_keras.runs.fit")
_build = import_module("lsp_keras.runs.build")
checked_images = _batches.checked_images

RUN = (  # noqa: SIM905
    "--num-train 400 --validation-size 200 --num-test 16 --batch-size 50 --epochs 9 "
    "--no-lsp --schedule constant --learning-rate 0.05 --tensorboard --name digits "
    "--early-stopping 3"
).split()
PATIENCE = 3

Batch = dict[str, tf.Tensor]


@pytest.fixture(autouse=True)
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """One convolution in place of a ResNet, which takes seconds to trace."""

    def build(config: FitConfig, info: DatasetInfo) -> keras.Model:
        keras.utils.set_random_seed(config.seed)
        return keras.Sequential(
            [
                keras.Input(info.image_shape),
                keras.layers.Conv2D(8, 3, strides=2),
                keras.layers.BatchNormalization(momentum=0.8),
                keras.layers.Activation(config.model["activation"]),
                keras.layers.Flatten(name="features"),
                keras.layers.Dense(info.num_classes, name="logits"),
            ]
        )

    monkeypatch.setattr(_build, "build_classifier", build)


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes the batches of one epoch, counted from 1, and of those after it."""

    def install(epoch: int, change: Callable[[Batch], Batch]) -> None:
        class Spoiled(EpochBatches):
            def __call__(self, number: int, num_epochs: int = 1) -> tf.data.Dataset:
                batches = super().__call__(number, num_epochs)
                return batches.map(change) if number + 1 >= epoch else batches

        monkeypatch.setattr(_run, "EpochBatches", Spoiled)

    return install


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the command in this process; returns its exit status."""

    def run(*arguments: str) -> int:
        argv = ["lsp-keras", "fit", *RUN, "--runs-dir", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as exit_info:
            main()
        return int(exit_info.value.code or 0)

    return run


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_files_are_of_the_last_row(run: Path) -> None:
    """`last.keras` is the classifier of the state to resume from, and the events the history."""
    last = keras.saving.load_model(run / "last.keras", safe_mode=True).get_weights()
    assert all(np.isfinite(weight).all() for weight in last)
    with np.load(run / "checkpoints" / "state.npz") as state:
        kept = [state[name] for name in state.files if name.startswith("model/")]
    assert all(any(np.array_equal(weight, one) for one in kept) for weight in last)
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    for name in events.Tags()["scalars"]:
        points = [(event.step, event.value) for event in events.Scalars(name)]
        assert points == [(int(row["epoch"]), np.float32(row[name])) for row in rows(run)], name
    assert (set(rows(run)[0]) - {"epoch"}) == set(events.Tags()["scalars"])


def test_a_loss_that_is_not_finite(
    fit: Callable[..., int],
    spoil: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # NaN images give the NaN logits of a network that broke; images themselves are refused.
    monkeypatch.setattr(
        _batches,
        "checked_images",
        lambda images: images if images.dtype.is_floating else checked_images(images),
    )
    spoil(
        3,
        lambda batch: {**batch, "images": tf.cast(batch["images"], tf.float32) * float("nan")},
    )
    # A ReLU may make zero of NaN.
    assert fit("--activation", "silu") == 1
    error = capsys.readouterr().err
    assert "The loss is not finite: its term `cross_entropy` is NaN or infinite" in error
    assert "Lower the learning rate" in error
    assert "The run ended in epoch 3: what it has written is that of epoch 2" in error
    assert "Traceback" not in error
    assert len(rows(tmp_path / "digits")) == 2
    assert_files_are_of_the_last_row(tmp_path / "digits")


def test_an_accuracy_that_falls_to_chance(
    fit: Callable[..., int], spoil: Callable[..., None], tmp_path: Path, capsys
) -> None:
    """Trained to call every image a three, after it had learned something else."""
    spoil(5, lambda batch: {**batch, "labels": 3 * tf.ones_like(batch["labels"])})
    run = tmp_path / "digits"
    assert fit() == 1
    error = capsys.readouterr().err
    assert "Validation accuracy fell to chance in epoch 5" in error
    assert "or lower the learning rate. The run ended in epoch 5" in error
    assert len(rows(run)) == 4
    assert_files_are_of_the_last_row(run)
    best = (run / "model.keras").read_bytes()
    clean = [float(row["val_accuracy"]) for row in rows(run)]
    expected = 1 + int(np.argmax(clean)) + PATIENCE

    assert fit("--resume", "--no-stop-at-collapse") == 0
    error = capsys.readouterr().err
    assert "Validation accuracy fell to chance in epoch 5" in error
    assert f"Stopped early after epoch {expected}" in error
    assert len(rows(run)) == expected
    assert (run / "model.keras").read_bytes() == best
    assert_files_are_of_the_last_row(run)

    ended = rows(run)
    assert fit("--resume") == 0
    assert rows(run) == ended
