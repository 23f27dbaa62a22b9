"""SIGKILL at random moments: the same command, given again, comes to the same result."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

KILLS = 10


def weights(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path, safe_mode=True).get_weights()


def of_fit(folder: Path) -> dict[str, Any]:
    run = folder / "run"
    with (run / "history.csv").open(newline="") as file:
        rows = [
            {name: value for name, value in row.items() if name != "images_per_second"}
            for row in csv.DictReader(file)
        ]
    with np.load(run / "checkpoints" / "state.npz") as state:
        arrays = [state[name] for name in state.files if "/" in name]
    models = [weights(run / f"{name}.keras") for name in ("model", "last", "ema")]
    return {
        "history": rows,
        "arrays": [*arrays, *(item for model in models for item in model)],
        "config": (run / "config.toml").read_text(),
        "dataset": json.loads((run / "dataset.json").read_text()),
    }


def of_attack(folder: Path) -> dict[str, Any]:
    # A kill after the record was written leaves it, and the next call writes another.
    records = [json.loads(path.read_text()) for path in folder.glob("run/evaluations/*.json")]
    for record in records:
        record["model"].pop("path")
        for timed in (record, *record["attacks"].values()):
            timed.pop("seconds")
    assert records
    assert all(record == records[0] for record in records)
    return records[0]


def of_mine(folder: Path) -> dict[str, Any]:
    with np.load(folder / "table.npz") as table:
        arrays = [table["indices"], table["distances"]]
        provenance = str(table["provenance"])
    (cached,) = (folder / "cache" / "neighbors").glob("*.npz")
    with np.load(cached) as table:
        arrays += [table["indices"], table["distances"]]
    record = json.loads((folder / "table.json").read_text())
    sheet = (folder / "sheet.png").stat().st_size
    return {"arrays": arrays, "provenance": provenance, "record": record, "sheet": sheet}


def of_pretrain(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "encoder.json").read_text())
    record.pop("encoder")
    for row in record["history"]:
        row.pop("seconds")
        row.pop("images_per_second", None)
    (cached,) = (folder / "cache" / "encoders").iterdir()
    assert sorted(path.name for path in cached.iterdir()) == ["encoder.json", "encoder.keras"]
    return {
        "arrays": weights(folder / "encoder.keras") + weights(cached / "encoder.keras"),
        "record": record,
    }


def of_export(folder: Path) -> dict[str, Any]:
    # A kill after the version's folder appeared leaves it, and the next call adds another.
    versions = list((folder / "model").iterdir())
    assert all(path.name.isdecimal() for path in versions)
    found = [
        {
            "files": sorted(str(item.relative_to(path)) for item in path.rglob("*")),
            "variables": next(path.glob("variables/variables.data*")).read_bytes(),
            "names": next(path.rglob("class_names.txt")).read_text(),
        }
        for path in versions
    ]
    assert found
    assert all(item == found[0] for item in found)
    return found[0]


RESULTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "fit": of_fit,
    "attack": of_attack,
    "mine": of_mine,
    "pretrain": of_pretrain,
    "export": of_export,
}


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("command", RESULTS)
def test_killed_commands_come_to_the_same_result(command: str, tmp_path: Path) -> None:
    driver = Path(__file__).with_name("kill_commands.py")
    result = subprocess.run(
        [sys.executable, str(driver), str(tmp_path), command, str(KILLS), "0"],
        capture_output=True,
        text=True,
    )
    logs = [path.read_text()[-2000:] for path in sorted(tmp_path.glob("*/*.log"))]
    assert result.returncode == 0, [result.stderr, *logs]
    counts = {name: int(count) for name, count in map(str.split, result.stdout.splitlines())}
    assert sum(counts.values()) >= KILLS
    expected = RESULTS[command](tmp_path / "whole")
    arrays = expected.pop("arrays", [])
    for name in counts:
        found = RESULTS[command](tmp_path / name)
        for one, other in zip(arrays, found.pop("arrays", []), strict=True):
            np.testing.assert_array_equal(one, other)
        assert found == expected
        names = [path.name for path in (tmp_path / name).rglob("*")]
        assert not [item for item in names if item.startswith(".tmp-") or item.endswith(".lock")]
