"""Options and output that every command shares which prints a table of runs."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from lsp_keras.cli._options import data_options, quiet_option
from lsp_keras.cli._paths import MachinePath

Command = TypeVar("Command", bound=Callable[..., Any])


def table_options(command: Command) -> Command:
    """Adds where runs lie, what may be made, and where the table goes: `surroundings`."""

    @functools.wraps(command)
    def packed(*args: Any, **values: Any) -> Any:
        names = ("runs_dir", "found_only", "jobs", "output", "data_dir", "cache_dir")
        surroundings = {name: values.pop(name) for name in names}
        # This process and those that train share a GPU, which none may take as a whole.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        # Before threads are chosen for attacks, which is not for training.
        surroundings["environment"] = dict(os.environ)
        return command(*args, surroundings=surroundings, **values)

    options = (
        click.option(
            "--runs-dir",
            type=MachinePath(file_okay=False, path_type=Path),
            default=Path("runs"),
            show_default=True,
            help="Folder of runs: those of the same settings are used, whatever their names.",
        ),
        click.option(
            "--found-only", is_flag=True, help="Train and attack nothing: show what there is."
        ),
        click.option(
            "--jobs",
            type=click.IntRange(0),
            default=1,
            show_default=True,
            help="Trainings at a time, each in a process of its own; 0 trains in this process.",
        ),
        click.option(
            "--output",
            type=MachinePath(file_okay=False, path_type=Path),
            default=Path("tables"),
            show_default=True,
            help="Folder for the table as .md, .csv, .tex and .html.",
        ),
    )
    wrapped: Any = packed
    for option in reversed(options):
        wrapped = option(wrapped)
    return cast(Command, data_options(quiet_option(wrapped)))


def make_table(
    plan: Any,
    stem: str,
    surroundings: dict[str, Any],
    *,
    as_json: bool = False,
    commands: bool = False,
) -> None:
    """Measures a plan, prints its table and writes it in every format.

    Args:
        plan: A `lsp_keras.tables.rows.Plan`.
        stem: Name of the files.
        surroundings: Folders and devices, as `table_options` packs them.
        as_json: Whether the numbers are printed as JSON instead.
        commands: Whether the command of each row stands in the files.
    """
    from lsp_keras.tables.measure import measure
    from lsp_keras.tables.tabulate import tabulate
    from lsp_keras.tables.writers import records, write_all

    with table_makers(surroundings) as (training, evaluation):
        results = measure(plan, training, evaluation, jobs=surroundings["jobs"], announce=say)
    table = tabulate(plan, results, commands=commands)
    # Before anything is printed: whoever reads the output may close it.
    paths = write_all(table, surroundings["output"] / stem)
    if as_json:
        import json

        click.echo(json.dumps({"title": table.title, "numbers": records(table)}, indent=2))
    else:
        print_table(table)
    click.echo(f"Written: {', '.join(map(str, paths))}", err=True)


@contextlib.contextmanager
def table_makers(surroundings: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """What finds or makes runs, and what finds or makes their records."""
    from lsp_keras.cli._progress import attack_progress
    from lsp_keras.tables.records import Evaluation
    from lsp_keras.tables.training import Training

    with attack_progress() as progress:
        training = Training(
            surroundings["runs_dir"],
            surroundings["cache_dir"],
            found_only=surroundings["found_only"],
            in_process=surroundings["jobs"] == 0,
            environment=surroundings["environment"],
            announce=say,
        )
        evaluation = Evaluation(
            None,
            data_dir=surroundings["data_dir"],
            cache_dir=surroundings["cache_dir"],
            found_only=surroundings["found_only"],
            records_dir=surroundings["runs_dir"] / ".records",
            progress=progress,
        )
        yield training, evaluation


def say(text: str) -> None:
    """A sentence on the way."""
    click.echo(text, err=True)


def print_table(table: Any) -> None:
    """Title, table and notes on the terminal, without commands; as Markdown in a pipe."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from lsp_keras.tables.writers import to_markdown

    if not sys.stdout.isatty():
        click.echo(to_markdown(table))
        return
    console = Console(highlight=False)
    head, *rows = table.texts()
    kept = [place for place, name in enumerate(head) if name != "command"]
    shown = Table(*(escape(head[place]) for place in kept), box=None)
    for line, row in zip(table.lines, rows, strict=True):
        cells = (escape(row[place]) for place in kept)
        shown.add_row(*cells, style="dim" if line.is_detail else None)
    console.print(table.title, style="bold", markup=False)
    console.print(shown)
    for note in table.notes:
        console.print(note, markup=False)
