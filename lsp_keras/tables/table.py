"""A table as a record: what every writer prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_keras.tables.intervals import Estimate

NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """A number in a table.

    Attributes:
        estimate: What was measured.
        signed: Whether it is a difference, which shows its sign.
        facts: What a machine should know besides: attack, settings, time.
    """

    estimate: Estimate
    signed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        found, sign = self.estimate, "+" if self.signed else ""
        ends = f"[{found.low:{sign}.1f}, {found.high:{sign}.1f}]"
        spread = "" if found.deviation is None else f" sd {found.deviation:.1f}"
        return f"{found.value:{sign}.1f} {ends}{spread}"


@dataclass(frozen=True)
class Published:
    """A number that others published, with the digits they gave it."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:.2f}"


@dataclass(frozen=True)
class Gap:
    """Ours less a published number, which has no interval."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:+.1f}"


Value = Cell | Published | Gap | str


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        name: First cell of the line.
        values: Values by the column's key; what is missing shows as a dash.
        facts: What a machine should know besides: row, kind, settings, command.
        is_detail: Whether it belongs to the line above it.
    """

    name: str
    values: Mapping[str, Value]
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_detail: bool = False


@dataclass(frozen=True)
class Table:
    """Lines under columns, with what a reader must know.

    Attributes:
        title: What it shows, and at which scale.
        columns: Header of each column by its key, without the first.
        lines: Lines in their order.
        notes: Sentences below it.
        first: Header of the first column.
    """

    title: str
    columns: Mapping[str, str]
    lines: Sequence[Line]
    notes: Sequence[str] = ()
    first: str = "row"

    def texts(self) -> list[list[str]]:
        """All cells as text, the headers first."""
        rows = [[self.first, *self.columns.values()]]
        for line in self.lines:
            rows.append([line.name, *(self._text(line, key) for key in self.columns)])
        return rows

    @staticmethod
    def _text(line: Line, key: str) -> str:
        return str(line.values.get(key, "" if line.is_detail else NOTHING))
