"""Any runs side by side, as a plan."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lsp_keras import registry
from lsp_keras.runs.settings.protocol import Column
from lsp_keras.tables.found_runs import config_of, key_of
from lsp_keras.tables.rows import Plan, Row
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError
from lsp_keras.zoo import PREFIX, locate


def runs_plan(
    runs: Sequence[Path],
    columns: Sequence[Column],
    *,
    weights: str = "best",
    seeds: int | None = None,
    num_examples: int | None = None,
) -> Plan:
    """Runs that differ in nothing but their seed are one row; the first row is the baseline.

    Args:
        runs: Folders of runs, or `zoo:NAME`.
        columns: Attacks.
        weights: Which of a run's models is measured.
        seeds: Number of seeds of each run's settings to compare instead, found or trained.
        num_examples: Test images, or `None` for all.

    Raises:
        InputError: A folder is no run's, or there is nothing to compare.
    """
    rows: dict[str, Row] = {}
    for run in runs:
        folder = locate(run)
        config = config_of(folder)
        key = f"{key_of(config, seed=False)} {'zoo' if str(run).startswith(PREFIX) else ''}"
        if key in rows and config.seed in rows[key].runs:
            # The same settings and seed twice: a copy, or another machine's.
            key = f"{key} {folder}"
        row = rows.setdefault(key, Row(_name(run), config, weights))
        rows[key] = replace(row, runs={**row.runs, config.seed: Path(run)})
    if seeds is not None:
        rows = {key: replace(row, runs={}) for key, row in rows.items()}
    named = _told_apart(list(rows.values()))
    if not named:
        raise InputError("Name the runs to compare.")
    names = ", ".join(row.name for row in named)
    tested = "all" if num_examples is None else f"{num_examples:,}"
    return Plan(
        title=f"{names}: {tested} test images, {weights} weights",
        rows=named,
        columns=columns,
        seeds=seeds or 1,
        num_examples=num_examples,
        baseline=named[0].name if len(named) > 1 else None,
    )


def attack_columns(names: Sequence[str], threat: ThreatModel) -> list[Column]:
    """A column for each attack, all in one ball.

    Raises:
        InputError: There is no such attack.
    """
    return [Column(registry.check("attack", name), name, threat, {}) for name in names]


def _name(run: Path) -> str:
    return str(run) if str(run).startswith(PREFIX) else run.resolve().name


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Rows of the same name by the folder of their first run."""
    names = [row.name for row in rows]
    return [
        replace(row, name=str(next(iter(row.runs.values()), row.name)))
        if names.count(row.name) > 1
        else row
        for row in rows
    ]
