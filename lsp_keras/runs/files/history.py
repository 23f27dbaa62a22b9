"""The history of a run, as `lsp-keras fit` leaves it."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_keras.epochs import rank
from lsp_keras.storage import read_json
from lsp_keras.validation import InputError, check_file

_LONGEST_FILE = 2**26


@dataclass(frozen=True)
class History:
    """Values of each epoch of a run, and its settings.

    Attributes:
        path: The run's folder.
        columns: Columns by name, one value for each epoch; NaN where there is none.
        settings: Settings of the run, empty where there is no `config.toml`.
        num_images: Number of its images, `"training"` and `"validation"`, where they are known.
    """

    path: Path
    columns: dict[str, list[float]]
    settings: dict[str, Any]
    num_images: Mapping[str, int] = field(default_factory=dict)

    @property
    def epochs(self) -> list[int]:
        """Numbers of the epochs, from 1."""
        return [int(epoch) for epoch in self.columns["epoch"]]

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept as the best, where the settings tell how."""
        metric = {"robust": "val_robust_accuracy", "clean": "val_accuracy"}
        name = metric.get(self.settings.get("select_by", ""))
        if name not in self.columns:
            return None
        values = zip(*self.columns.values(), strict=True)
        ranks = [rank(name, dict(zip(self.columns, row, strict=True))) for row in values]
        return max(zip(ranks, self.epochs, strict=True))[1]


def load_history(run: Path) -> History:
    """Reads `history.csv` and `config.toml` of a run, also of one that goes on.

    Raises:
        InputError: There is no such run, no epoch of it is finished, or the table is damaged.
    """
    from lsp_keras.runs import read_config

    if not run.is_dir():
        raise InputError(f"There is no run {run}. Give the folder that `lsp-keras fit` named.")
    config = run / "config.toml"
    settings = read_config(config) if config.exists() else {}
    return History(run, _columns(run / "history.csv"), settings, _num_images(run))


def short_names(histories: Sequence[History]) -> list[str]:
    """Names of the runs' folders, or their whole paths where two have the same name."""
    names = [history.path.resolve().name for history in histories]
    if len(set(names)) < len(names):
        return [str(history.path) for history in histories]
    return names


def _num_images(run: Path) -> dict[str, int]:
    """What the run's record of its data says; nothing where there is none."""
    try:
        counts = read_json(run / "dataset.json")["num_images"]
        return {"training": int(counts["train"]), "validation": int(counts["validation"])}
    except (InputError, KeyError, TypeError, ValueError):
        return {}


def read_table(path: Path) -> list[list[str]]:
    """Rows of a history, its header first; none where there is no file.

    Raises:
        InputError: It is no table, or no file at all.
    """
    check_file(path, _LONGEST_FILE)
    try:
        # Spreadsheets begin a table with a byte order mark.
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.reader(file))
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a history of `lsp-keras fit`: {error}.") from error


def _columns(path: Path) -> dict[str, list[float]]:
    """Columns of the table without those that hold no value."""
    table = read_table(path)
    if len(table) < 2:
        raise InputError(
            f"{path.parent} has no finished epoch yet: {path.name} is missing or empty."
        )
    try:
        values = [[float(cell or "nan") for cell in row] for row in table[1:]]
        columns = dict(zip(table[0], map(list, zip(*values, strict=True)), strict=True))
        if not all(map(math.isfinite, columns.get("epoch", [math.nan]))):
            raise ValueError("the column `epoch` is missing or incomplete")
    except ValueError as error:
        raise InputError(f"{path} is not a history of `lsp-keras fit`: {error}.") from error
    return {name: column for name, column in columns.items() if not all(map(math.isnan, column))}
