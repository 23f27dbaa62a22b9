"""HAT's helper: made once, kept, gone on with, or the user's own."""

from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras.datasets import load
from lsp_keras.runs import FitConfig, FitResult, fit, read_config
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.helper_model import _check_images, find_helper, helper_config
from lsp_keras.runs.settings.resolve import resolve
from lsp_keras.validation import InputError

# The module; the package's own `fit` is the function.
_run = import_module("lsp_keras.runs.fit")

pytestmark = pytest.mark.usefixtures("small_network")


def timeless(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in history]


def weights(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path).get_weights()


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


class Interruption(keras.callbacks.Callback):
    """Ends the process, as far as the run can tell, after the first epoch's state is written."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_helper_is_made_once_and_serves_other_runs(tiny: dict[str, Any], tmp_path: Path) -> None:
    said: list[str] = []
    config = FitConfig.of(method="hat", lsp=False, helper_epochs=2, **tiny)

    def run(config: FitConfig) -> FitResult:
        return fit(config, runs_dir=tmp_path / "runs", cache_dir=tmp_path, announce=said.append)

    first, second = run(config), run(config)
    run(config.changed(beta=4.0))
    helper = only(tmp_path / "helpers")
    told = [text for text in said if text.startswith("Helper:")]
    assert "2 epochs of standard training" in told[0]
    assert told[1:] == [f"Helper: the one in {helper}."] * 2
    # Whether the helper was just trained does not show in the run.
    assert timeless(first.history) == timeless(second.history)
    settings = read_config(helper / "config.toml")
    assert (settings["method"], settings["epochs"]) == ("standard", 2)
    assert settings["regularizers"] == {"lsp": False}


@pytest.mark.slow
def test_an_interrupted_helper_goes_on(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FitConfig.of(method="hat", lsp=False, helper_epochs=2, **tiny)
    fit(config, runs_dir=tmp_path / "whole", cache_dir=tmp_path / "whole")
    build = _run.build_callbacks
    with monkeypatch.context() as patch:
        patch.setattr(_run, "build_callbacks", lambda *a, **k: [*build(*a, **k), Interruption()])
        with pytest.raises(KeyboardInterrupt):
            fit(config, runs_dir=tmp_path / "cut", cache_dir=tmp_path / "cut")
    said: list[str] = []
    fit(config, runs_dir=tmp_path / "cut", cache_dir=tmp_path / "cut", announce=said.append)
    assert said[0].startswith("Helper: going on with")
    whole, cut = (only(tmp_path / name / "helpers") for name in ("whole", "cut"))
    for one, other in zip(weights(whole / "last.keras"), weights(cut / "last.keras"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_helpers_are_told_apart_by_what_they_depend_on() -> None:
    config = resolve(FitConfig.of(method="hat", epochs=3))
    same: list[dict[str, Any]] = [
        {"beta": 1.0},
        {"lfr": True},
        {"attack_steps": 2},
        {"awp": 0.1},
        {"ema_decay": 0.9},
    ]
    other: list[dict[str, Any]] = [
        {"seed": 1},
        {"width": 8},
        {"epochs": 4},
        {"num_train": 5},
        {"learning_rate": 0.2},
    ]
    plain = helper_config(config)
    for change in same:
        assert helper_config(resolve(config.changed(**change))) == plain
    for change in other:
        assert helper_config(config.changed(helper_epochs=None, **change)) != plain


def test_the_users_own_helper(tiny: dict[str, Any], tmp_path: Path) -> None:
    plain = fit(FitConfig.of(lsp=False, **tiny), runs_dir=tmp_path)
    for helper in (plain.path, plain.path / "last.keras"):
        config = FitConfig.of(method="hat", lsp=False, helper=str(helper), **tiny)
        run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path)
        assert read_config(run.path / "config.toml")["method"]["helper"] == str(helper)
    assert not (tmp_path / "helpers").exists()


def test_a_helper_that_does_not_fit_is_told(tiny: dict[str, Any], tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.save(tmp_path / "three.keras")
    config = FitConfig.of(method="hat", lsp=False, helper=str(tmp_path / "three.keras"), **tiny)
    with pytest.raises(InputError, match=r"to 3 classes; digits has images .* of 10 classes"):
        fit(config, runs_dir=tmp_path / "runs")
    with pytest.raises(InputError, match=r"absent\.keras is not there"):
        fit(config.changed(helper="absent.keras"), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_helper_that_states_no_shape_is_told() -> None:
    info = load("digits").info
    inputs = [keras.Input((16, 16, 3)) for _ in range(2)]
    several = keras.Model(inputs, keras.layers.Add()(inputs))
    for model in (keras.Sequential([keras.layers.Dense(3)]), several):
        with pytest.raises(InputError, match=r"own\.keras must be a Keras model of one input"):
            _check_images(model, "own.keras", info)


@pytest.mark.parametrize("damaged", ["model.keras", "history.csv"])
def test_a_damaged_helper_is_made_again(tmp_path: Path, damaged: str) -> None:
    dataset = load("digits", num_train=20, validation_size=4)
    config = resolve(FitConfig.of(method="hat", lsp=False, helper_epochs=2, num_train=20))
    trained: list[bool] = []

    def train(own: FitConfig, folder: RunFolder) -> None:
        trained.append(folder.path.exists())
        folder.path.mkdir(parents=True, exist_ok=True)
        layers = [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
        keras.Sequential(layers).save(folder.best_model)
        folder.history.write_text("epoch,loss\n1,2.0\n2,1.0\n")

    def find() -> keras.Model:
        return find_helper(config, dataset, cache=tmp_path, train=train, announce=lambda text: None)

    first = find()
    assert find().count_params() == first.count_params()
    assert trained == [False]
    # A helper that was complete begins anew; one without its history goes on.
    (only(tmp_path / "helpers") / damaged).write_bytes(b"\xff\xfe")
    assert find().count_params() == first.count_params()
    assert trained == [False, damaged == "history.csv"]
