"""What the pictures of training runs show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsp_keras.plots.figure import plain
from lsp_keras.runs.files.history import History, short_names

# Told apart also by those who do not tell red from green (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, RED, GRAY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#707070"
RUN_COLORS = (BLUE, RED, GREEN, "#CC79A7", ORANGE, "#56B4E9", "#000000")
SOLID, AVERAGED = "-", "--"
# One color and one style of line for each run, so that print in black tells them apart too.
RUN_STYLES = (SOLID, "--", "-.", ":")


@dataclass(frozen=True)
class Curve:
    """A column of a history and how it is drawn."""

    column: str
    label: str
    color: str = BLUE
    style: str = SOLID
    is_pale: bool = False


@dataclass(frozen=True)
class Axis:
    """Curves that share a vertical axis, and what their values are multiplied by.

    The first curve's color is that of the axis where there are two of them. What is looked at
    seldom is low.
    """

    title: str
    curves: Sequence[Curve]
    factor: float = 1.0
    from_zero: bool = False
    is_low: bool = False


def run_panels(history: History) -> list[list[Axis]]:
    """Of one run, each with a left axis and maybe a right one; the last one is a low strip."""
    attack = _attack([history])
    weight = _lsp_weight(history.settings)
    measured = weight is not None and not weight
    return [
        [
            _main_loss([history]),
            Axis(
                "LSP loss",
                [Curve("lsp", "LSP (only measured)" if measured else "LSP", ORANGE)],
            ),
        ],
        [
            Axis(
                "accuracy (%)",
                [
                    Curve("accuracy", "training images, as trained on", GRAY),
                    Curve("val_accuracy", "validation, clean", BLUE),
                    Curve("val_ema_accuracy", "clean, averaged weights", BLUE, AVERAGED),
                    Curve("val_robust_accuracy", f"validation, {attack}", RED),
                    Curve("val_ema_robust_accuracy", f"{attack}, averaged weights", RED, AVERAGED),
                ],
                factor=100.0,
                from_zero=True,
            )
        ],
        [
            Axis("learning rate", [Curve("learning_rate", "learning rate", GREEN)], is_low=True),
            Axis(
                "images / s",
                [Curve("images_per_second", "images / s", GRAY)],
                from_zero=True,
                is_low=True,
            ),
        ],
    ]


def compared_axes(histories: Sequence[History]) -> list[Axis]:
    """Of several runs, in two columns: what was trained beside what came of it."""
    return [
        _main_loss(histories),
        Axis(
            "clean accuracy (%)",
            [
                Curve("val_accuracy", "validation"),
                Curve("val_ema_accuracy", "averaged", style=AVERAGED),
            ],
            factor=100.0,
            from_zero=True,
        ),
        Axis("LSP loss", [Curve("lsp", "LSP")]),
        Axis(
            f"accuracy, {_attack(histories)} (%)",
            [
                Curve("val_robust_accuracy", "validation"),
                Curve("val_ema_robust_accuracy", "averaged", style=AVERAGED),
            ],
            factor=100.0,
            from_zero=True,
        ),
        Axis("learning rate", [Curve("learning_rate", "learning rate")], is_low=True),
        Axis("images / s", [Curve("images_per_second", "images / s")], from_zero=True, is_low=True),
    ]


def run_labels(histories: Sequence[History]) -> list[str]:
    """The runs' names with the radius of their validation and the images that they were given."""
    return [
        f"{plain(name)}{_validated(history)}"
        for name, history in zip(short_names(histories), histories, strict=True)
    ]


def _validated(history: History) -> str:
    radius = history.settings.get("validation_epsilon")
    images = history.num_images.get("validation")
    held_out = f"{images:,} validation images" if images else ""
    known = ", ".join(filter(None, [held_out, f"PGD at {radius}" if radius else ""]))
    return f" ({known})" if known else ""


def present(axes: Sequence[Axis], histories: Sequence[History]) -> list[Axis]:
    """The axes that have something to show, without the curves that have not."""
    columns = {column for history in histories for column in history.columns}
    kept = [
        replace(axis, curves=[curve for curve in axis.curves if curve.column in columns])
        for axis in axes
    ]
    return [axis for axis in kept if axis.curves]


def _lsp_weight(settings: Mapping[str, Any]) -> float | None:
    """Weight of the LSP term, where the settings have one, in a section or beside all others."""
    section = settings.get("regularizers", {}).get("lsp")
    own = section.get("weight") if isinstance(section, Mapping) else None
    return settings.get("lsp_weight", own)


def _main_loss(histories: Sequence[History]) -> Axis:
    """Cross-entropy, or the whole loss where a method has no such term."""
    if all("cross_entropy" in history.columns for history in histories):
        return Axis("cross-entropy (nats)", [Curve("cross_entropy", "cross-entropy")])
    return Axis("training loss", [Curve("loss", "whole loss")])


def _attack(histories: Sequence[History]) -> str:
    """The attack of the validation, with its radius where all runs have the same."""
    radii = {history.settings.get("validation_epsilon") for history in histories}
    return f"PGD at {radii.pop()}" if len(radii) == 1 and None not in radii else "PGD"
