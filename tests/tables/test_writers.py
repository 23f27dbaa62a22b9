"""Each format, against text written by hand."""

import csv
import io
from pathlib import Path

import pytest

from lsp_keras.tables.intervals import Estimate
from lsp_keras.tables.table import Cell, Gap, Line, Published, Table
from lsp_keras.tables.writers import (
    WRITERS,
    to_csv,
    to_html,
    to_latex,
    to_markdown,
    write,
    write_all,
)
from lsp_keras.validation import InputError

TABLE = Table(
    title="Table 1 & more",
    columns={"clean": "clean", "aa": "AA_2/255"},
    lines=[
        Line(
            "lsp|1",
            {
                "clean": Cell(Estimate(50.04, 40.38, 59.62, None, 1, 100)),
                "aa": Cell(Estimate(12.0, 8.0, 16.0, 1.25, 3, 100)),
            },
            {"command": "lsp-keras fit --seed 0"},
        ),
        Line("paper", {"clean": Published(94.22)}, is_detail=True),
        Line("less paper", {"clean": Gap(-44.18)}, is_detail=True),
        Line("a<b", {"clean": Cell(Estimate(-1.0, -2.5, 0.5, None, 1, 9), signed=True)}),
    ],
    notes=["Brackets are 95 % intervals."],
)


def test_markdown() -> None:
    assert to_markdown(TABLE) == (
        "**Table 1 & more**\n\n"
        "| row | clean | AA_2/255 |\n| --- | --- | --- |\n"
        "| lsp\\|1 | 50.0 [40.4, 59.6] | 12.0 [8.0, 16.0] sd 1.2 |\n"
        "| paper | 94.22 |  |\n| less paper | -44.2 |  |\n"
        "| a<b | -1.0 [-2.5, +0.5] | - |\n\n"
        "- Brackets are 95 % intervals.\n"
    )


def test_latex() -> None:
    assert to_latex(TABLE).splitlines() == [
        "% Brackets are 95 % intervals.",
        r"\begin{table}",
        r"\caption{Table 1 \& more}",
        r"\begin{tabular}{lll}",
        r"\toprule",
        r"row & clean & AA\_2/255 \\",
        r"\midrule",
        r"lsp|1 & 50.0 [40.4, 59.6] & 12.0 [8.0, 16.0] sd 1.2 \\",
        r"paper & 94.22 &  \\",
        r"less paper & -44.2 &  \\",
        r"\addlinespace",
        r"a\textless{}b & -1.0 [-2.5, +0.5] & - \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_csv_has_a_line_for_each_number_with_all_digits() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    assert len(rows) == 5
    assert rows[0] == {
        "row": "lsp|1",
        "column": "clean",
        "value": "50.04",
        "low": "40.38",
        "high": "59.62",
        "deviation": "",
        "seeds": "1",
        "images": "100",
        "command": "lsp-keras fit --seed 0",
    }
    assert [row["value"] for row in rows[1:]] == ["12.0", "94.22", "-44.18", "-1.0"]


def test_html_is_escaped_and_stands_alone() -> None:
    text = to_html(TABLE)
    assert text.startswith("<!doctype html>")
    assert "<caption>Table 1 &amp; more</caption>" in text
    assert "<tr><th>a&lt;b</th><td>-1.0 [-2.5, +0.5]</td><td>-</td></tr>" in text
    assert "<tr class=detail><th>paper</th><td>94.22</td><td></td></tr>" in text
    assert "<p>Brackets are 95 % intervals.</p>" in text


def test_every_format_is_written_beside_the_others(tmp_path: Path) -> None:
    paths = write_all(TABLE, tmp_path / "table_1")
    assert {path.name for path in paths} == {f"table_1{suffix}" for suffix in WRITERS}
    for path in paths:
        assert path.read_text(encoding="utf-8") == WRITERS[path.suffix](TABLE)
    with pytest.raises(InputError, match=r"must end in .md, .csv, .tex, .html"):
        write(TABLE, tmp_path / "table.xls")
