"""`lsp-keras compare`: networks that always answer the same, whose accuracies can be counted."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result

from lsp_keras import datasets
from lsp_keras.cli.compare import command
from lsp_keras.runs import FitConfig
from lsp_keras.runs.settings.config import write_config
from lsp_keras.validation import InputError

TESTED = 60


def make_run(folder: Path, answer: int, **settings: object) -> Path:
    """A finished run whose network answers one digit, whatever the image."""
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    kernel, bias = model.layers[-1].get_weights()
    bias[answer] = 1.0
    model.layers[-1].set_weights([0.0 * kernel, bias])
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    write_config(folder / "config.toml", FitConfig.of(lsp=False, **settings))
    return folder


def compare(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def counted(answer: int) -> float:
    labels = datasets.load("digits").test.take(TESTED).labels
    return 100 * float(np.mean(labels == answer))


def test_runs_are_paired_by_seed(tmp_path: Path) -> None:
    answers = {("a", 0): 1, ("a", 1): 2, ("b", 0): 3, ("b", 1): 4}
    runs = [
        make_run(tmp_path / f"{name}-{seed}", answer, seed=seed, width=8 if name == "a" else 4)
        for (name, seed), answer in answers.items()
    ]
    options = ("--attacks", "fgsm", "--num-examples", TESTED, "--output", tmp_path / "tables")
    made = compare(*runs, *options)
    assert made.exit_code == 0
    with (tmp_path / "tables" / "compare.csv").open() as file:
        cells = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    shares = {key: counted(answer) for key, answer in answers.items()}
    for column in ("clean", "fgsm 8/255"):
        first = cells["a-0", column]
        assert float(first["value"]) == pytest.approx(
            (shares["a", 0] + shares["a", 1]) / 2, abs=1e-3
        )
        assert first["seeds"] == "2"
        gaps = [shares["b", seed] - shares["a", seed] for seed in (0, 1)]
        cell = cells["b-0 less a-0", column]
        assert float(cell["value"]) == pytest.approx(np.mean(gaps), abs=1e-3)
        assert float(cell["deviation"]) == pytest.approx(np.std(gaps, ddof=1), abs=1e-3)
    # The same records serve again.
    again = compare(*runs, *options, "--found-only")
    assert again.stdout == made.stdout
    # Those of another dataset say nothing.
    for path in tmp_path.glob("*/evaluations/*.json"):
        record = json.loads(path.read_text())
        record["dataset"]["name"] = "svhn"
        path.write_text(json.dumps(record))
    none = compare(*runs, *options, "--found-only", "--json")
    assert json.loads(none.stdout)["numbers"] == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dataset": "svhn"}, "dataset digits and svhn"),
        ({"data_seed": 3}, "data-seed 0 and 3"),
        ({"split_test": "validation"}, "split-test None and validation"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--seeds", 2), ("--found-only",)])
def test_runs_of_other_test_images_are_not_compared(
    tmp_path: Path, changed: dict[str, object], told: str, options: tuple[object, ...]
) -> None:
    runs = []
    for name, settings in (("a", {}), ("b", changed)):
        runs.append(tmp_path / name)
        write_config(tmp_path / name / "config.toml", FitConfig.of(lsp=False, **settings))
    with pytest.raises(InputError, match=f"a and .*b cannot be compared image by image.*: {told}"):
        compare(*runs, "--attacks", "fgsm", "--runs-dir", tmp_path, *options)


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not both"):
        compare()
    with pytest.raises(InputError, match=r"states its attacks\. Leave out --attacks"):
        compare("--table", "methods", "--attacks", "pgd")
    with pytest.raises(InputError, match="Leave out --scale"):
        compare(tmp_path, "--scale", "tiny")
