"""What a table is to hold: rows of settings, columns of attacks, and how much of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.protocol import Column

CLEAN = "clean"


@dataclass(frozen=True)
class Row:
    """One row: a way of training.

    Attributes:
        name: First cell.
        config: Settings; the seed is set for each run.
        weights: Which of a run's models is measured: `"best"`, `"last"` or `"ema"`.
        controls: Names of rows that it is compared with, beside the baseline.
        seeds: Most seeds that are run; `None` is all.
        num_examples: Test images, where it is not as many as the table has.
        runs: Folders of runs by seed, where they are given instead of found.
        published: Percent by column, as a paper reports it.
        recipe: The recipe that its command starts from.
        note: What a reader must know of it.
    """

    name: str
    config: FitConfig
    weights: str = "best"
    controls: Sequence[str] = ()
    seeds: int | None = None
    num_examples: int | None = None
    runs: Mapping[int, Path] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)
    recipe: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """A table before it is measured.

    Attributes:
        title: Title of the table.
        rows: Rows in their order.
        columns: Attacks, beside clean accuracy.
        seeds: Number of seeds of each row, counted from 0.
        num_examples: Test images, or `None` for all.
        baseline: Name of the row that all others are compared with, or `None`.
        order_by: Name of the column that sorts the rows, highest first, or `None`.
        notes: Sentences for below the table.
        scale: Scale of the numbers: one of a smaller one is not the paper's setting.
    """

    title: str
    rows: Sequence[Row]
    columns: Sequence[Column]
    seeds: int = 1
    num_examples: int | None = None
    baseline: str | None = None
    order_by: str | None = None
    notes: Sequence[str] = ()
    scale: str = ""

    def tasks(self) -> list[tuple[Row, int]]:
        """One seed of every row before the next, so that an early end leaves whole comparisons."""
        most = max((_seeds_of(row, self.seeds) for row in self.rows), default=0)
        return [
            (row, seed)
            for place in range(most)
            for row in self.rows
            for seed in seeds_of(row, self.seeds)[place : place + 1]
        ]


def seeds_of(row: Row, seeds: int) -> list[int]:
    """The seeds of a row in a table of so many: those of its given runs, if there are any."""
    if row.runs:
        return sorted(row.runs)
    return list(range(_seeds_of(row, seeds)))


def _seeds_of(row: Row, seeds: int) -> int:
    if row.runs:
        return len(row.runs)
    return seeds if row.seeds is None else min(seeds, row.seeds)
