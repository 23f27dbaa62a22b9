"""Any runs side by side, as a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_keras import registry
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.files.moved import images_name, scheme_of_folder
from lsp_keras.runs.settings.config import FitConfig, images_seed
from lsp_keras.runs.settings.protocol import Column
from lsp_keras.runs.settings.toml_file import read_config
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
        InputError: A folder is no run's, runs are tested on different images, or there is nothing
            to compare.
    """
    rows: dict[str, Row] = {}
    images: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        folder = locate(run)
        config = config_of(folder)
        images[str(run)] = images_of(config, folder)
        key = f"{key_of(config, seed=False)} {'zoo' if str(run).startswith(PREFIX) else ''}"
        if key in rows and config.seed in rows[key].runs:
            # The same settings and seed twice: a copy, or another machine's.
            key = f"{key} {folder}"
        row = rows.setdefault(key, Row(_name(run), config, weights))
        rows[key] = replace(row, runs={**row.runs, config.seed: Path(run)})
    check_same_images(images)
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


def images_of(config: FitConfig, run: Path | None = None) -> dict[str, Any]:
    """What decides which test images there are and in which order, by its name.

    The size of the images is not among it: the same picture in two sizes is one pair.

    Args:
        config: Settings of a run.
        run: Folder of the run; `None` for one that is not made yet.
    """
    name, test = config.dataset.name, config.split_test
    # A folder without one of test images has them cut from those to train on.
    train = config.split_train if scheme_of_folder(name) and test is None else None
    seed = config.data_seed if run is None else images_seed(read_config(RunFolder(run).config))
    return {
        "dataset": images_name(name, run),
        **config.dataset.given,
        "data-seed": seed,
        "split-train": train,
        "split-test": test,
    }


def check_same_images(images: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses to compare what was not tested on the same images.

    Args:
        images: What `images_of` says of each row or run, by its name.

    Raises:
        InputError: Two of them have other test images, or the same in another order.
    """
    names = list(images)
    for name in names[1:]:
        first, other = images[names[0]], images[name]
        for key in dict.fromkeys([*first, *other]):
            if first.get(key) != other.get(key):
                raise InputError(
                    f"{names[0]} and {name} cannot be compared image by image, since their test "
                    f"images differ: {key} {first.get(key)} and {other.get(key)}. Attack each by "
                    "itself: lsp-keras attack RUN."
                )


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
