"""Options that change a plan in a file, and the plan that comes of it."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from lsp_keras.cli._paths import as_file_name

Command = TypeVar("Command", bound=Callable[..., Any])


def plan_options(command: Command) -> Command:
    """Adds what a command changes of a plan in a file: `changes`."""

    @functools.wraps(command)
    def packed(*args: Any, **values: Any) -> Any:
        names = ("dataset", "scale", "rows", "seeds", "num_examples")
        changes = {name: values.pop(name) for name in names}
        return command(*args, changes=changes, **values)

    options = (
        click.option("--dataset", help="Another dataset than the table's."),
        click.option(
            "--scale", type=click.Choice(["tiny", "small"]), help="Smaller than the table's own."
        ),
        click.option("--rows", help="Rows to show, with semicolons or commas between."),
        click.option(
            "--seeds",
            type=click.IntRange(1),
            help="Number of seeds, from 0 on.  [default: the table's]",
        ),
        click.option(
            "--num-examples",
            type=click.IntRange(1),
            help="Number of test images.  [default: the table's]",
        ),
    )
    wrapped: Any = packed
    for option in reversed(options):
        wrapped = option(wrapped)
    return cast(Command, wrapped)


def plan_of_file(
    name: str, changes: dict[str, Any], surroundings: dict[str, Any]
) -> tuple[Any, str]:
    """A plan with the command's changes, and the stem of its files.

    Args:
        name: Name of a plan, or a file.
        changes: Changes of the plan, as `plan_options` packs them.
        surroundings: Folders and devices, as `table_options` packs them.
    """
    from lsp_keras.tables.plans import Changes, plan_from, read_plan
    from lsp_keras.tables.scales import find_scale, sizes_of

    values = read_plan(name)
    places = {key: surroundings[key] for key in ("data_dir", "cache_dir")}
    scale = changes["scale"]
    plan = plan_from(
        values,
        Changes(
            sizes_of(changes["dataset"] or values["dataset"], **places),
            dataset=changes["dataset"],
            scale=None if scale is None else find_scale(scale),
            rows=_names(changes["rows"], [row["name"] for row in values["rows"]]),
            seeds=changes["seeds"],
            num_examples=changes["num_examples"],
            data_dir=surroundings["data_dir"],
        ),
    )
    dataset = changes["dataset"] and as_file_name(changes["dataset"])
    return plan, "_".join(filter(None, [Path(name).stem, dataset, scale]))


def _names(text: str | None, known: list[str]) -> list[str]:
    """Names of rows; those that have commas of their own are parted by semicolons."""
    if text is None:
        return []
    separator = ";" if ";" in text or text in known else ","
    return [name.strip() for name in text.split(separator)]
