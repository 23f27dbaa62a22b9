"""`lsp-keras list recipes`: published settings with the accuracies published for them."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

import click

from lsp_keras import registry
from lsp_keras.runs import (
    NOTES,
    Expected,
    expected_accuracies,
    recipe_summary,
)

_COLUMN_WIDTH = 7


def recipe_records() -> dict[str, Any]:
    """By recipe: its summary and what each table expects of it; as JSON values."""
    expected = expected_accuracies()
    return {
        name: {
            "summary": recipe_summary(name),
            "expected": [_record(item) for item in expected if item.recipe == name],
        }
        for name in registry.names("recipe")
    }


def print_recipes() -> None:
    """One table for each published table, then the recipes from no paper."""
    expected = expected_accuracies()
    width = max(map(len, registry.names("recipe")))
    for (source, epsilon), rows in groupby(expected, key=lambda item: (item.source, item.epsilon)):
        click.echo(f"{source}: percent as published, attacks at {epsilon}")
        _print_table({item.recipe: item.accuracy_percent for item in rows}, width)
    for column, note in NOTES.items():
        click.echo(click.wrap_text(f"{column}: {note}", width=80, subsequent_indent="    "))
    click.echo("\nFrom no paper")
    published = {item.recipe for item in expected}
    for name in registry.names("recipe"):
        if name not in published:
            line = f"{name:{width}}  {recipe_summary(name)}"
            click.echo(click.wrap_text(line, width=80, subsequent_indent=" " * (width + 2)))


def _print_table(rows: Mapping[str, Mapping[str, float]], width: int) -> None:
    columns = next(iter(rows.values()))
    click.echo("recipe".ljust(width) + "".join(f"{name:>{_COLUMN_WIDTH}}" for name in columns))
    for name, accuracies in rows.items():
        figures = "".join(f"{value:{_COLUMN_WIDTH}.2f}" for value in accuracies.values())
        click.echo(f"{name:{width}}{figures}")
    click.echo()


def _record(expected: Expected) -> dict[str, Any]:
    notes = {name: note for name, note in NOTES.items() if name in expected.accuracy_percent}
    return asdict(expected) | {"notes": notes}
