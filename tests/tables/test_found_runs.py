"""Which runs count as the same, and which as finished."""

import json
from pathlib import Path

import pytest

from lsp_keras.runs import FitConfig
from lsp_keras.runs.files.moved import folder_record
from lsp_keras.runs.settings.config import write_config
from lsp_keras.runs.settings.resolve import resolve
from lsp_keras.tables.found_runs import find_run, is_finished, key_of


def config(**settings: object) -> FitConfig:
    return FitConfig.of(epochs=2, lsp=False, **settings)


def make(folder: Path, epochs: int, **settings: object) -> Path:
    write_config(folder / "config.toml", resolve(config(**settings)))
    rows = "".join(f"{epoch},1.0,{0.5 - epoch / 10}\n" for epoch in range(1, epochs + 1))
    (folder / "history.csv").write_text(f"epoch,loss,val_accuracy\n{rows}")
    return folder


@pytest.mark.parametrize(
    "same",
    [
        {"data_dir": "/elsewhere"},
        {"num_test": 10},
        {"stop_at_collapse": False},
        {"evaluation": "lsp_standard"},
        # Without LSP nobody looks for neighbors.
        {"features": "pixels", "num_neighbors": 3},
        {"encoder_epochs": 7},
        # A default that is written out.
        {"width": 64},
    ],
)
def test_what_changes_no_weight_changes_no_key(same: dict[str, object]) -> None:
    assert key_of(config(**same)) == key_of(config())


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"width": 8}, {"data_seed": 1}, {"lfrc": True}, {"dataset": "svhn"}]
)
def test_what_changes_weights_changes_the_key(other: dict[str, object]) -> None:
    assert key_of(config(**other)) != key_of(config())


def test_seeds_can_be_left_out() -> None:
    assert key_of(config(seed=3), seed=False) == key_of(config(), seed=False)
    assert key_of(config(width=8), seed=False) != key_of(config(), seed=False)


def test_a_run_is_found_under_any_name_and_a_finished_one_first(tmp_path: Path) -> None:
    started = make(tmp_path / "a", 1)
    make(tmp_path / "other", 2, seed=1)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.toml").write_text("epochs = [")
    assert find_run(tmp_path, config()) == started
    finished = make(tmp_path / "b", 2)
    assert find_run(tmp_path, config()) == finished
    assert find_run(tmp_path, config(seed=2)) is None
    assert find_run(tmp_path / "none", config()) is None


def test_a_run_is_finished_after_its_epochs_or_its_patience(tmp_path: Path) -> None:
    run = make(tmp_path / "run", 2)
    assert is_finished(run, config())
    longer = config().changed(epochs=9)
    assert not is_finished(run, longer)
    # The first of two epochs was the best: one epoch without a better one.
    assert is_finished(run, longer.changed(early_stopping=1))
    assert not is_finished(run, longer.changed(early_stopping=2))
    assert not is_finished(tmp_path / "none", config())


def test_a_run_on_another_folder_of_the_same_name_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = config(dataset="folder:photos")
    for place in ("a", "b"):
        (tmp_path / place / "photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    run = make(tmp_path / "runs" / "mine", 2, dataset="folder:photos")
    record = {"folder": folder_record("folder:photos", run)}
    (run / "dataset.json").write_text(json.dumps(record))
    assert find_run(tmp_path / "runs", own) == run
    monkeypatch.chdir(tmp_path / "b")
    assert find_run(tmp_path / "runs", own) is None
