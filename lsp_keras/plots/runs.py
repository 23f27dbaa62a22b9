"""Pictures of training runs over their epochs."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from textwrap import fill
from typing import Any

from lsp_keras.plots.figure import plain, save, set_from_zero
from lsp_keras.plots.run_curves import (
    AVERAGED,
    GRAY,
    RUN_COLORS,
    RUN_STYLES,
    Axis,
    compared_axes,
    present,
    run_labels,
    run_panels,
)
from lsp_keras.runs.files.history import History, short_names
from lsp_keras.validation import InputError

_LOW, _HIGH = 0.4, 1.0
_PANEL = 2.7
_WIDEST_TITLE = 90
# With more epochs than these the line alone shows where they are.
_MOST_MARKERS = 40


def plot_run(path: Path, history: History) -> None:
    """Draws one run: losses as in the paper's Figure 3, accuracies, learning rate and speed.

    Args:
        path: Path of the picture.
        history: What it has no values of is left out.

    Raises:
        InputError: It has no values of anything that is drawn.
    """
    from matplotlib.figure import Figure

    panels = [present(panel, [history]) for panel in run_panels(history)]
    panels = [panel for panel in panels if panel]
    _refuse_nothing(panels, [history])
    heights = [_height(panel) for panel in panels]
    figure = Figure(figsize=(7.5, 0.7 + _PANEL * sum(heights)), layout="constrained")
    places = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for place, panel in zip(places, panels, strict=True):
        _draw_panel(place, panel, history)
    _count_epochs(places[-1])
    figure.suptitle(fill(_title(history), _WIDEST_TITLE), fontsize=11)
    save(figure, path)


def plot_runs(path: Path, histories: Sequence[History]) -> None:
    """Draws several runs together: a panel for each quantity, a color for each run.

    Args:
        path: Path of the picture.
        histories: What none of them has values of is left out.

    Raises:
        InputError: They have no values of anything that is drawn.
    """
    from matplotlib.figure import Figure

    axes = present(compared_axes(histories), histories)
    _refuse_nothing(axes, histories)
    handles = _run_handles(histories)
    rows = _in_rows(axes)
    heights = [_height([axis for axis in row if axis is not None]) for row in rows]
    height = _PANEL * sum(heights) + 0.2 * len(handles)
    figure = Figure(figsize=(10.0, height), layout="constrained")
    grid = figure.subplots(len(heights), 2, squeeze=False, height_ratios=heights)
    for place, axis in zip(grid.ravel(), chain.from_iterable(rows), strict=True):
        if axis is None:
            place.set_visible(False)
            continue
        for number, history in enumerate(histories):
            _draw_curves(place, _recolored(axis, number), history)
        _scale(place, axis)
        place.grid(alpha=0.3)
        _count_epochs(place)
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    save(figure, path)


def _in_rows(axes: Sequence[Axis]) -> list[list[Axis | None]]:
    """Two in a row, and the low ones in rows of their own."""
    rows: list[list[Axis | None]] = []
    for is_low in (False, True):
        own: list[Axis | None] = [axis for axis in axes if axis.is_low == is_low]
        padded = own + [None] * (len(own) % 2)
        rows += [padded[start : start + 2] for start in range(0, len(padded), 2)]
    return rows


def _height(axes: Sequence[Axis]) -> float:
    """Of a row of panels: what nobody looks at for long takes little of the page."""
    return _LOW if all(axis.is_low for axis in axes) else _HIGH


def _title(history: History) -> str:
    name = short_names([history])[0]
    counts = [
        f"{history.num_images[split]:,} {split}"
        for split in ("training", "validation")
        if split in history.num_images
    ]
    images = f": {' and '.join(counts)} images" if counts else ""
    best = f"; best epoch {history.best_epoch} (dotted)" if history.best_epoch else ""
    return f"{plain(name)}{images}{best}"


def _refuse_nothing(drawn: Sequence[Any], histories: Sequence[History]) -> None:
    if not drawn:
        columns = sorted({name for history in histories for name in history.columns})
        raise InputError(
            "There is nothing to draw: the history holds no loss, accuracy, learning rate or "
            f"speed. It holds: {', '.join(columns)}."
        )


def _draw_panel(place: Any, axes: Sequence[Axis], history: History) -> None:
    """One or two axes over the epochs, the legend above them."""
    sides = [place, *(place.twinx() for _ in axes[1:])]
    for side, axis in zip(sides, axes, strict=True):
        _draw_curves(side, axis, history)
        _scale(side, axis, color=axis.curves[0].color if len(axes) > 1 else "black")
    if history.best_epoch is not None:
        place.axvline(history.best_epoch, color=GRAY, linestyle=":", linewidth=1.0)
    place.grid(alpha=0.3)
    handles = [handle for side in sides for handle in side.get_legend_handles_labels()[0]]
    place.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=3,
        frameon=False,
        fontsize="small",
    )


def _draw_curves(place: Any, axis: Axis, history: History) -> None:
    for curve in axis.curves:
        if curve.column in history.columns:
            place.plot(
                history.epochs,
                [axis.factor * value for value in history.columns[curve.column]],
                label=curve.label,
                color=curve.color,
                linestyle=curve.style,
                linewidth=1.6,
                alpha=0.45 if curve.is_pale else 1.0,
                marker="o" if len(history.epochs) <= _MOST_MARKERS else "",
                markersize=3.0,
            )


def _scale(place: Any, axis: Axis, color: str = "black") -> None:
    """Title and ticks of the vertical axis."""
    place.set_ylabel(axis.title, color=color)
    place.tick_params(axis="y", labelcolor=color)
    if axis.from_zero:
        set_from_zero(place)


def _recolored(axis: Axis, number: int) -> Axis:
    """The axis in a run's color and style of line; averaged weights are paler."""
    color, style = _look(number)
    curves = [
        replace(curve, color=color, style=style, is_pale=curve.style == AVERAGED)
        for curve in axis.curves
    ]
    return replace(axis, curves=curves)


def _look(number: int) -> tuple[str, str]:
    turn, place = divmod(number, len(RUN_COLORS))
    return RUN_COLORS[place], RUN_STYLES[(place + turn) % len(RUN_STYLES)]


def _run_handles(histories: Sequence[History]) -> list[Any]:
    """What the legend shows: the color of each run, and how averaged weights are drawn."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=_look(number)[0], linestyle=_look(number)[1], label=name)
        for number, name in enumerate(run_labels(histories))
    ]
    if any("val_ema_accuracy" in history.columns for history in histories):
        handles.append(Line2D([], [], color=GRAY, alpha=0.45, label="paler: averaged weights"))
    return handles


def _count_epochs(place: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    place.set_xlabel("epoch")
    place.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
