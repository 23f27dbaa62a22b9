"""A whole run on a few digits."""

import csv
import json
import shutil
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest

from lsp_keras import datasets
from lsp_keras.epochs import rank
from lsp_keras.pretraining import PretrainSettings
from lsp_keras.runs import FitConfig, fit, read_config
from lsp_keras.types import Dataset
from lsp_keras.validation import InputError

TINY = {
    "num_train": 48,
    "num_test": 16,
    "validation_size": 16,
    "model": "vit",
    "width": 8,
    "depth": 1,
    "batch_size": 16,
    "epochs": 2,
    "attack_steps": 2,
    "num_neighbors": 3,
    "features": "pixels",
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return fit(FitConfig.of(adv=True, **TINY), runs_dir=runs, cache_dir=runs / "cache")


def test_a_run_leaves_what_the_next_steps_read(result) -> None:
    assert result.path.name == "digits-at+lsp"
    config = read_config(result.path / "config.toml")
    assert config["method"] == {"name": "at", "warmup_epochs": 0}
    assert config["attack"] == {
        "name": "pgd",
        "epsilon": "8/255",
        "step_size": "2/255",
        "num_steps": 2,
    }
    assert config["validation_epsilon"] == "8/255"
    record = json.loads((result.path / "dataset.json").read_text())
    assert record["class_names"] == [str(digit) for digit in range(10)]
    assert record["num_images"] == {"train": 48, "validation": 16, "test": 16}
    assert record["neighbors"]["settings"]["num_neighbors"] == 3
    with (result.path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["lsp"]) == pytest.approx(result.history[1]["lsp"])


def best_epoch(history: list[dict[str, float]], metric: str) -> float:
    """Of equal ranks the later epoch."""
    return max((rank(metric, row), row["epoch"]) for row in history)[1]


def test_the_best_epoch_is_chosen_on_held_out_images(result) -> None:
    assert result.best_epoch == best_epoch(result.history, "val_robust_accuracy")
    assert result.best == result.history[result.best_epoch - 1]
    # The accuracies in the logs are those of the saved model on the validation split.
    held_out = datasets.load("digits", num_train=48, validation_size=16).validation
    model = keras.saving.load_model(result.path / "model.keras", safe_mode=True)
    logits = model.predict(held_out.images / np.float32(255), verbose=0)
    accuracy = np.mean(np.argmax(logits, axis=1) == held_out.labels)
    assert accuracy == pytest.approx(result.best["val_accuracy"])


def remove_states(folder: Path) -> None:
    shutil.rmtree(folder)


def damage_states(folder: Path) -> None:
    state = folder / "state.npz"
    state.write_bytes(state.read_bytes()[:-50])
    (folder / "previous.npz").write_bytes(b"no state")


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize("spoil", [remove_states, damage_states])
def test_a_run_without_a_sound_state_begins_again(spoil, tmp_path: Path) -> None:
    config = FitConfig.of(**(TINY | {"lsp": False, "epochs": 1}))
    runs = []
    said: list[str] = []
    for resume in (False, True):
        found = fit(config, runs_dir=tmp_path, name="run", resume=resume, announce=said.append)
        runs.append(found.history)
        # What it had learned is there, and no state to go on from.
        spoil(tmp_path / "run" / "checkpoints")
    assert sum("the run starts anew" in text for text in said) == 1
    for history in runs:
        history[0].pop("images_per_second")
    assert runs[0] == runs[1]


@pytest.mark.usefixtures("small_network")
def test_a_damaged_model_beside_a_sound_state_is_built_anew(tmp_path: Path) -> None:
    config = FitConfig.of(**(TINY | {"lsp": False, "epochs": 1}))
    first = fit(config, runs_dir=tmp_path, name="run")
    (tmp_path / "run" / "last.keras").write_bytes(b"no model")
    said: list[str] = []
    again = fit(config, runs_dir=tmp_path, name="run", resume=True, announce=said.append)
    assert again.history == first.history
    assert any("last.keras could not be read" in text for text in said)
    assert not any("the run starts anew" in text for text in said)


def test_the_same_seed_gives_the_same_run(result, tmp_path: Path) -> None:
    again = fit(FitConfig.of(adv=True, **TINY), runs_dir=tmp_path)
    timeless = [
        [{k: v for k, v in row.items() if k != "images_per_second"} for row in run.history]
        for run in (result, again)
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.usefixtures("small_network")
def test_measuring_lsp_does_not_change_training(tmp_path: Path) -> None:
    plain = fit(FitConfig.of(lsp=False, **TINY), runs_dir=tmp_path)
    measured = fit(FitConfig.of(lsp_weight=0.0, **TINY), runs_dir=tmp_path)
    for row, other in zip(plain.history, measured.history, strict=True):
        assert row["cross_entropy"] == other["cross_entropy"]
        assert other["lsp"] > 0
        assert "lsp" not in row


@pytest.mark.usefixtures("small_network")
def test_without_attacks_in_training_the_clean_accuracy_chooses(tmp_path: Path) -> None:
    run = fit(FitConfig.of(lsp=False, **TINY), runs_dir=tmp_path)
    assert run.best_epoch == best_epoch(run.history, "val_accuracy")
    assert read_config(run.path / "config.toml")["select_by"] == "clean"


def test_a_finished_run_resumes_to_itself(result) -> None:
    again = fit(FitConfig.of(adv=True, **TINY), runs_dir=result.path.parent, resume=True)
    assert again == result


def test_a_run_does_not_go_on_with_other_images(result, tmp_path: Path) -> None:
    record = json.loads((result.path / "dataset.json").read_text())
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.toml").write_bytes((result.path / "config.toml").read_bytes())
    (folder / "dataset.json").write_text(json.dumps(record | {"train_fingerprint": "0"}))
    with pytest.raises(InputError, match=r"not those that .*other was started with"):
        fit(FitConfig.of(adv=True, **TINY), runs_dir=tmp_path, name="other", resume=True)


@pytest.mark.usefixtures("small_network")
def test_neighbors_come_from_where_the_user_says(tmp_path: Path) -> None:
    train = datasets.load("digits", num_train=48, validation_size=16).train
    np.save(tmp_path / "rows.npy", np.arange(48, dtype=np.float32)[:, None])
    config = FitConfig.of(
        embeddings=str(tmp_path / "rows.npy"), normalize_features=False, **TINY | {"epochs": 1}
    )
    run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path)
    assert json.loads((run.path / "dataset.json").read_text())["neighbors"]["num_dimensions"] == 1
    np.save(tmp_path / "rows.npy", np.zeros((len(train) + 1, 2), np.float32))
    with pytest.raises(InputError, match="one row for each of the 48 training images"):
        fit(config, runs_dir=tmp_path, cache_dir=tmp_path)


MOCO = {"features": "moco", "encoder_epochs": 1, "encoder_width": 4, "epochs": 1}


def small_backbone(dataset: Dataset, settings: PretrainSettings) -> keras.Model:
    """One convolution in place of a ResNet, which takes long to trace twice."""
    images = keras.Input(dataset.info.image_shape)
    values = keras.layers.Conv2D(settings.width, 3, 2, use_bias=False)(images)
    values = keras.layers.BatchNormalization()(values)
    features = keras.layers.GlobalAveragePooling2D(name="features")(values)
    return keras.Model(images, keras.layers.Dense(10, name="logits")(features))


@pytest.mark.usefixtures("small_network")
def test_a_missing_encoder_is_trained_once_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        import_module("lsp_keras.pretraining.pretrain"), "_backbone", small_backbone
    )
    said: list[str] = []
    config = FitConfig.of(**TINY | MOCO)
    for _ in range(2):
        run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path / "cache", announce=said.append)
    first, second = (text for text in said if text.startswith("Neighbors:"))
    assert "training one with MoCo v2 for 1 epochs of 6 steps. (--features" in first
    assert "with the encoder in" in second
    neighbors = json.loads((run.path / "dataset.json").read_text())["neighbors"]
    assert neighbors["source"]["features"] == "encoder.keras"
    assert neighbors["encoder_epochs"] == 1
    assert len(list((tmp_path / "cache" / "encoders").iterdir())) == 1
    assert len(list((tmp_path / "cache" / "neighbors").glob("*.npz"))) == 1
