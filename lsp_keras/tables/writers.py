"""Tables as Markdown, CSV, LaTeX and HTML, each whole or not written at all."""

import csv
import html
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsp_keras.storage import atomic_path
from lsp_keras.tables.table import Cell, Gap, Line, Published, Table, Value
from lsp_keras.validation import InputError

# What LaTeX reads as a command.
_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
# Of one number, whatever kind it is of.
_NUMBERS = ("value", "low", "high", "deviation", "seeds", "images")
_STYLE = (
    "<style>table{border-collapse:collapse}caption{text-align:left;font-weight:bold}"
    "th,td{padding:.2em .6em;text-align:left;vertical-align:top}"
    "thead th{border-bottom:1px solid}tr.detail{opacity:.75}</style>"
)


def to_markdown(table: Table) -> str:
    """GitHub's Markdown: title, table, notes."""
    head, *rows = [[_piped(cell) for cell in row] for row in table.texts()]
    lines = [f"**{table.title}**", "", _row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes), ""])


def to_csv(table: Table) -> str:
    """One line for each number, with all that is known of it."""
    found = records(table)
    names = list(dict.fromkeys(name for record in found for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return out.getvalue()


def to_latex(table: Table) -> str:
    """A `table` with `booktabs` rules; notes are comments."""
    head, *rows = [[_escaped(cell) for cell in row] for row in table.texts()]
    body = [f"{' & '.join(row)} \\\\" for row in rows]
    for place, line in reversed(list(enumerate(table.lines))):
        if place and not line.is_detail and table.lines[place - 1].is_detail:
            body.insert(place, r"\addlinespace")
    return "\n".join(
        [
            *(f"% {note}" for note in table.notes),
            r"\begin{table}",
            rf"\caption{{{_escaped(table.title)}}}",
            rf"\begin{{tabular}}{{{'l' * len(head)}}}",
            r"\toprule",
            f"{' & '.join(head)} \\\\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_html(table: Table) -> str:
    """A page that stands by itself."""
    head, *rows = [[html.escape(cell) for cell in row] for row in table.texts()]
    body = [
        f"<tr{' class=detail' if line.is_detail else ''}><th>{first}</th>"
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for line, (first, *cells) in zip(table.lines, rows, strict=True)
    ]
    title = html.escape(table.title)
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>{_STYLE}',
            f"<table><caption>{title}</caption>",
            f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>",
            *body,
            "</table>",
            *(f"<p>{html.escape(note)}</p>" for note in table.notes),
            "</html>",
            "",
        ]
    )


WRITERS: Mapping[str, Callable[[Table], str]] = {
    ".md": to_markdown,
    ".csv": to_csv,
    ".tex": to_latex,
    ".html": to_html,
}


def write(table: Table, path: Path) -> None:
    """Writes the table in the format that the file's name ends in.

    Raises:
        InputError: It ends in none of the formats.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"A table's file must end in {', '.join(WRITERS)}. Received: {path}.")
    with atomic_path(path) as temporary:
        temporary.write_text(writer(table), encoding="utf-8")


def write_all(table: Table, stem: Path) -> list[Path]:
    """Writes the table in every format, as `STEM.md` and so on; returns the files."""
    paths = [stem.with_name(f"{stem.name}{suffix}") for suffix in WRITERS]
    for path in paths:
        write(table, path)
    return paths


def records(table: Table) -> list[dict[str, Any]]:
    """One record for each number of a table."""
    return [record for line in table.lines for record in _records(table, line)]


def _records(table: Table, line: Line) -> list[dict[str, Any]]:
    return [
        {"row": line.name, "column": table.columns[key], **_numbers(value), **line.facts}
        for key, value in line.values.items()
        if key in table.columns and not isinstance(value, str)
    ]


def _numbers(value: Value) -> dict[str, Any]:
    if isinstance(value, Cell):
        found = {name: getattr(value.estimate, name) for name in _NUMBERS}
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}
        return {**rounded, **value.facts}
    return {"value": round(value.value, 4)} if isinstance(value, Published | Gap) else {}


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _piped(text: str) -> str:
    return text.replace("|", "\\|")


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
