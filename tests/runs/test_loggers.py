from pathlib import Path

import pytest

from lsp_keras.runs import FitConfig, fit
from lsp_keras.runs.loggers import build_logger
from lsp_keras.validation import InputError

MODULE = """
import json
import keras

class Diary(keras.callbacks.Callback):
    def __init__(self, folder, settings, name="diary.txt"):
        super().__init__()
        self.path, self.settings = folder / name, settings

    def on_epoch_end(self, epoch, logs=None):
        line = json.dumps([epoch, self.settings["epochs"], sorted(logs)])
        self.path.open("a").write(line + "\\n")

class Plain(keras.callbacks.Callback):
    pass

class Demanding(keras.callbacks.Callback):
    def __init__(self, project):
        super().__init__()

def function():
    return Plain()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module in the working folder."""
    name = f"loggers_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_callback_gets_what_its_constructor_names(module, tmp_path) -> None:
    diary = build_logger(f"{module}:Diary", folder=tmp_path, settings={"epochs": 3})
    assert diary.path == tmp_path / "diary.txt"
    assert diary.settings == {"epochs": 3}
    assert type(build_logger(f"{module}:Plain", folder=tmp_path, settings={})).__name__ == "Plain"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nothing", "There is no class 'Nothing'"),
        ("function", "must name a Keras callback's class"),
        ("Demanding", "could not be made.*'project'.*everything else needs a default"),
    ],
)
def test_what_is_no_logger_is_said(module, tmp_path, name, message) -> None:
    with pytest.raises(InputError, match=message):
        build_logger(f"{module}:{name}", folder=tmp_path, settings={})
    with pytest.raises(InputError, match="There is no class"):
        build_logger(f"no_such_module:{name}", folder=tmp_path, settings={})


def test_a_logger_must_name_module_and_class() -> None:
    with pytest.raises(InputError, match="such as mine:Logger"):
        FitConfig.of(logger="mine")


def _config(**options):
    return FitConfig.of(
        dataset="digits", num_train=64, lsp=False, width=4, epochs=1, batch_size=32, **options
    )


def test_a_logger_sees_what_the_history_holds(module, tmp_path) -> None:
    run = fit(_config(logger=f"{module}:Diary"), runs_dir=tmp_path / "runs")
    (line,) = (run.path / "diary.txt").read_text().splitlines()
    for name in ("val_robust_accuracy", "loss", "learning_rate"):
        assert f'"{name}"' in line
    assert line.startswith("[0, 1, ")


@pytest.mark.reference
def test_mlflow_keeps_settings_and_epochs_in_files(tmp_path, monkeypatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    run = fit(_config(logger="examples.mlflow_logger:MLflow"), runs_dir=tmp_path / "runs")
    number = (run.path / "mlflow_run_id.txt").read_text()
    kept = mlflow.tracking.MlflowClient((tmp_path / "mlruns").as_uri()).get_run(number).data
    assert kept.params["epochs"] == "1"
    assert kept.metrics["val_accuracy"] == pytest.approx(run.history[0]["val_accuracy"])
