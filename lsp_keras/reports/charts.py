"""Charts as numbers that a template draws: places on a canvas, ticks and their labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 46
_TICKS = 5


@dataclass(frozen=True)
class Line:
    """A curve on the canvas.

    Attributes:
        name: Name in the legend.
        points: Places `(x, y)` of the values, those that are missing left out.
        values: Text of each value, shown where somebody points at it.
        look: Number of its color and style.
    """

    name: str
    points: Sequence[tuple[float, float]]
    values: Sequence[str]
    look: int

    @property
    def path(self) -> str:
        """The points as SVG has them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """Curves over one axis.

    Attributes:
        title: What it shows, for those who cannot see it.
        x_label: What lies to the right.
        y_label: What lies upwards.
        lines: The curves.
        x_ticks: Place and label of each tick.
        y_ticks: Place and label of each tick of the vertical axis.
        mark: Place on the horizontal axis that is marked, and why.
    """

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    mark: tuple[float, str] | None = None


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    x_ticks: Mapping[float, str] | None = None,
    y_range: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
) -> Chart:
    """A chart of some curves.

    Args:
        title: What it shows.
        series: Pairs of values by name; those that are not finite are left out.
        x_label: Title of the horizontal axis.
        y_label: Title of the vertical axis.
        x_ticks: Labels by value, default round numbers.
        y_range: Range of the vertical axis, default that of the values.
        mark: Value on the horizontal axis to be marked, and why.
    """
    finite = {
        name: [(x, y) for x, y in points if np.isfinite([x, y]).all()]
        for name, points in series.items()
    }
    everything = [point for points in finite.values() for point in points]
    xs = [x for x, _ in everything] + list(x_ticks or {})
    low, high = y_range or _padded([y for _, y in everything])
    left, right = min(xs), max(xs)
    ticks = x_ticks or {value: f"{value:g}" for value in _round_ticks(left, right, whole=True)}

    def across(value: float) -> float:
        share = (value - left) / (right - left) if right > left else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    return Chart(
        title=title,
        x_label=x_label,
        y_label=y_label,
        lines=[
            Line(
                name,
                [(across(x), up(y)) for x, y in points],
                [f"{name}: {y:.3g} at {ticks.get(x, f'{x:g}')}" for x, y in points],
                number,
            )
            for number, (name, points) in enumerate(finite.items())
            if points
        ],
        x_ticks=[(across(value), text) for value, text in ticks.items()],
        y_ticks=[(up(value), f"{value:g}") for value in _round_ticks(low, high)],
        mark=None if mark is None else (across(mark[0]), mark[1]),
    )


def evenly_spaced(curve: Mapping[Any, float]) -> list[tuple[float, float]]:
    """Percentages at places 0, 1, 2, ...: for values that a straight axis would crowd."""
    return [(float(place), 100.0 * value) for place, value in enumerate(curve.values())]


def _round_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round numbers within a range, about five of them."""
    span = (high - low) / _TICKS
    if span <= 0:
        return [low]
    power = 10.0 ** np.floor(np.log10(span))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= span)
    step = max(step, 1.0) if whole else step
    first = np.ceil(low / step - 1e-9) * step
    # Less a negative zero.
    return [round(float(value), 10) + 0.0 for value in np.arange(first, high + step * 1e-6, step)]


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room
