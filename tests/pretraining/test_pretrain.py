"""Pre-training: defaults that suit the data, resuming, finding again, collapse."""

import dataclasses
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest

from lsp_keras.errors import CollapseError
from lsp_keras.pretraining import (
    PUBLISHED_EPOCHS,
    PretrainSettings,
    encoder_folder,
    find_or_pretrain,
    pretrain,
    usual_epochs,
)
from lsp_keras.pretraining.pretrain import view_batches
from lsp_keras.storage import fingerprint
from lsp_keras.types import Dataset, DatasetInfo, Examples
from lsp_keras.validation import InputError

# The module; the package's own `pretrain` is the function.
pretraining = import_module("lsp_keras.pretraining.pretrain")
SETTINGS = PretrainSettings(
    epochs=3, batch_size=8, queue_size=16, dimensions=4, batch_norm_splits=2, symmetric=False
)


def make_split(images: np.ndarray) -> Examples:
    return Examples(images, np.arange(len(images)) % 3, np.arange(len(images)))


@pytest.fixture
def dataset() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (44, 6, 6, 3), np.uint8)
    info = DatasetInfo(
        "noise", ("a", "b", "c"), (6, 6, 3), {"train": 44}, (0.5,) * 3, (0.3,) * 3, None, ""
    )
    train, rest = make_split(images[:32]), make_split(images[32:])
    return Dataset(info, train, rest, rest)


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(num_classes: int, *, seed: int, **options: object) -> keras.Model:
        keras.utils.set_random_seed(seed)
        images = keras.Input((6, 6, 3))
        outputs = keras.layers.Conv2D(8, 3, use_bias=False)(images)
        outputs = keras.layers.BatchNormalization()(outputs)
        outputs = keras.layers.GlobalAveragePooling2D(name="features")(outputs)
        return keras.Model(images, keras.layers.Dense(num_classes)(outputs))

    monkeypatch.setattr(pretraining.registry, "get", lambda kind, name: build)


class StopAfter(keras.callbacks.Callback):
    """Interrupts the training in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self._epoch == self.epoch and batch == 1:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._epoch = epoch


def test_defaults_suit_large_and_small_data() -> None:
    large = PretrainSettings().resolved(50_000)
    assert (large.batch_size, large.queue_size) == (512, 4096)
    small = PretrainSettings().resolved(1295)
    # An eighth of the images in whole splits of 8; keys of two views, half of the images.
    assert (small.batch_size, small.queue_size) == (160, 640)


def test_the_length_follows_the_number_of_images_and_what_was_asked_for_is_kept() -> None:
    full = pretraining.FULL_LENGTH_IMAGES
    assert PretrainSettings().resolved(full).epochs == usual_epochs(10 * full) == PUBLISHED_EPOCHS
    # A quarter of the images, half of the epochs.
    assert PretrainSettings().resolved(full // 4).epochs == PUBLISHED_EPOCHS // 2
    lengths = [usual_epochs(number) for number in range(1, full, 97)]
    assert lengths == sorted(lengths)
    assert lengths[0] == usual_epochs(100) == 80
    assert PretrainSettings(epochs=PUBLISHED_EPOCHS).resolved(130).epochs == PUBLISHED_EPOCHS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue_size": 33}, "at most the 32 training images"),
        ({"queue_size": 7}, "at least the 8 keys of one step"),
        ({"batch_size": 9}, "multiple of batch_norm_splits=2"),
        ({"batch_size": 64}, "at most the 32 training images"),
        ({"momentum": 1.0}, "in \\[0, 1\\)"),
        ({"temperature": 0.0}, "greater than zero"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SETTINGS, **changes).resolved(32)


def test_views_of_an_epoch_are_two_and_always_the_same(dataset: Dataset) -> None:
    first, again, later = (
        next(iter(view_batches(dataset, SETTINGS, epoch).as_numpy_iterator()))
        for epoch in (1, 1, 2)
    )
    np.testing.assert_array_equal(first["first"], again["first"])
    assert np.abs(first["first"] - first["second"]).max() > 0.05
    assert np.abs(first["first"] - later["first"]).max() > 0.05
    assert sum(1 for _ in view_batches(dataset, SETTINGS, 0)) == 4


def test_interrupted_training_ends_with_the_same_encoder(dataset: Dataset, tmp_path: Path) -> None:
    whole = pretrain(dataset, SETTINGS, tmp_path / "whole", monitor_every=2)
    with pytest.raises(KeyboardInterrupt):
        pretrain(dataset, SETTINGS, tmp_path / "parts", callbacks=[StopAfter(epoch=1)])
    assert not (tmp_path / "parts" / "encoder.keras").exists()
    parts = pretrain(dataset, SETTINGS, tmp_path / "parts", monitor_every=2)
    first, second = (keras.saving.load_model(path) for path in (whole, parts))
    for left, right in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(left, right)
    assert sorted(path.name for path in parts.parent.iterdir()) == [
        "encoder.json",
        "encoder.keras",
    ]
    record = json.loads((tmp_path / "parts" / "encoder.json").read_text())
    assert record["images"] == fingerprint(dataset.train.images)
    assert record["encoder"] == fingerprint(parts.read_bytes())
    assert [row["epoch"] for row in record["history"]] == [1, 2, 3]
    assert ["knn_accuracy" in row for row in record["history"]] == [False, True, True]


def test_encoder_is_found_again_until_anything_differs(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1)
    path = find_or_pretrain(dataset, settings, cache_dir=tmp_path)
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "pretrain", lambda *_, **__: calls.append(1))
        assert find_or_pretrain(dataset, settings, cache_dir=tmp_path) == path
        assert not calls
        find_or_pretrain(dataset, settings, cache_dir=tmp_path, restart=True)
    assert calls
    assert not path.exists()
    other_images = dataclasses.replace(dataset, train=dataset.train.take(30))
    folders = {
        encoder_folder(dataset, settings, tmp_path),
        encoder_folder(dataset, SETTINGS, tmp_path),
        encoder_folder(other_images, settings, tmp_path),
    }
    assert len(folders) == 3
    assert path.parent in folders


@pytest.mark.parametrize("change", ["encoder", "record", "no record", "no encoder", "text"])
def test_a_damaged_encoder_is_trained_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    folder = encoder_folder(dataset, SETTINGS, tmp_path)
    folder.mkdir(parents=True)
    encoder, record = folder / "encoder.keras", folder / "encoder.json"
    encoder.write_bytes(b"weights")
    record.write_text(json.dumps({"encoder": fingerprint(b"weights")}))
    calls = []
    monkeypatch.setattr(pretraining, "pretrain", lambda *_, **__: calls.append(1))
    assert find_or_pretrain(dataset, SETTINGS, cache_dir=tmp_path) == encoder
    assert not calls
    changes: dict[str, Callable[[], object]] = {
        "encoder": lambda: encoder.write_bytes(b"weight"),
        "record": lambda: record.write_text('{"encoder": "0123"}'),
        "no record": record.unlink,
        "no encoder": encoder.unlink,
        "text": lambda: record.write_text("[]"),
    }
    changes[change]()
    find_or_pretrain(dataset, SETTINGS, cache_dir=tmp_path)
    assert calls


def test_collapse_is_said(dataset: Dataset, tmp_path: Path) -> None:
    black = dataclasses.replace(dataset, train=make_split(np.zeros((32, 6, 6, 3), np.uint8)))
    with pytest.raises(CollapseError, match=r"collapsed in epoch 1: all images have nearly"):
        pretrain(black, SETTINGS, tmp_path)


@pytest.mark.slow
def test_features_of_digits_get_better_than_those_of_the_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsp_keras.datasets import load

    # The network of the settings, not this file's small one.
    monkeypatch.undo()
    settings = PretrainSettings(width=8, epochs=15, batch_size=64, symmetric=False)
    encoder = pretrain(load("digits"), settings, tmp_path, monitor_every=1)
    record = json.loads(encoder.with_suffix(".json").read_text())
    accuracies = [row["knn_accuracy"] for row in record["history"]]
    # Of 143 images: one of them is 0.007.
    assert np.mean(accuracies[-5:]) > accuracies[0] + 0.03
