"""Every training method through a whole run, alone and with LSP; and all options at once."""

import csv
from pathlib import Path
from typing import Any

import keras
import pytest

from lsp_keras import registry
from lsp_keras.runs import FitConfig, fit, read_config
from lsp_keras.runs.settings.config import config_from

pytestmark = pytest.mark.usefixtures("small_network")


# The methods that keep something beside the classifier, and a plain one; the contract of methods
# trains, saves and loads them all.
ALONE = {"standard"}
WITH_LSP = {"hat", "fgsm_pgi"}


@pytest.mark.parametrize(
    ("method", "lsp"),
    [
        pytest.param(
            method,
            lsp,
            id=f"{method}-{'with_lsp' if lsp else 'alone'}",
            marks=[] if method in (WITH_LSP if lsp else ALONE) else [pytest.mark.slow],
        )
        for method in registry.names("method")
        for lsp in (False, True)
    ],
)
def test_a_run_trains_and_says_how(
    method: str, lsp: bool, tiny: dict[str, Any], tmp_path: Path
) -> None:
    config = FitConfig.of(method=method, lsp=lsp, **tiny)
    run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path)
    assert run.path.name == f"digits-{method}{'+lsp' if lsp else ''}"
    assert ("lsp" in run.history[-1]) == lsp
    attacked = method not in ("standard", "mixup", "cutmix", "augmix")
    written = read_config(run.path / "config.toml")
    assert written["select_by"] == ("robust" if attacked else "clean")
    assert written["validation_epsilon"] == ("8/255" if attacked else "2/255")
    betas = {"trades": 6.0, "mart": 5.0, "hat": 2.5, "nuat": 4.0, "fgsm_pgi": 10.0}
    assert config_from(written, source="test").method.get("beta") == betas.get(method)
    keras.saving.load_model(run.path / "model.keras", safe_mode=True)
    assert fit(config, runs_dir=tmp_path, cache_dir=tmp_path, resume=True) == run


def test_everything_at_once(tiny: dict[str, Any], tmp_path: Path) -> None:
    config = FitConfig.of(
        method="trades",
        activation="silu",
        lfr=True,
        lfr_form="double_backprop",
        adr=True,
        ema_decay=0.9,
        awp=0.005,
        label_smoothing=0.1,
        clip_norm=1.0,
        schedule="cyclic",
        early_stopping=1,
        tensorboard=True,
        **tiny,
    )
    run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path)
    assert run.path.name == "digits-trades+lsp+lfr+adr"
    with (run.path / "history.csv").open() as file:
        columns = set(next(csv.reader(file)))
    assert columns >= {"kl", "lsp", "lfr", "adr_local", "val_ema_robust_accuracy"}
    keras.saving.load_model(run.path / "ema.keras", safe_mode=True)
    assert run.average_epoch == 1
    assert run.best_average == run.history[0]
    assert len(list((run.path / "tensorboard").iterdir())) == 1
