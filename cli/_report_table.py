"""An evaluation's report as a table on the terminal."""

from collections.abc import Mapping
from typing import Any


def print_reading(record: Mapping[str, Any]) -> None:
    """Prints to stderr how the model of a record was read, and what to know of that."""
    import click

    reading = record.get("classifier", {})
    for sentence in (reading.get("summary"), *reading.get("findings", ())):
        if sentence:
            click.echo(sentence, err=True)


def print_report(report: Any) -> None:
    """Prints the statement, doubts first, and one row for each attack."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    bold = "bold" if report.flags else None
    # What stopped a check may say anything, also what Rich would take for a style.
    console.print(report.statement, style=bold, highlight=False, markup=False)
    table = Table("attack", "accuracy", "95 % interval", "images", "seconds", box=None)
    rows = [("clean", report.clean, None)]
    rows += [(record.name, record.accuracy, record.seconds) for record in report.attacks]
    for name, share, seconds in [*rows, ("worst case", report.worst_case, None)]:
        low, high = share.interval
        table.add_row(
            escape(name),
            f"{100 * share.value:.2f} %",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{share.count}/{share.total}",
            "" if seconds is None else f"{seconds:.1f}",
        )
    console.print(table)
