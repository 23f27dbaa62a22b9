"""Plots as PNG files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plot_curves(path: Path, curves: Mapping[str, Mapping[float, float]], title: str) -> None:
    """Draws accuracy against what each curve is named after, side by side.

    Args:
        path: Of the PNG file.
        curves: Accuracy in [0, 1] by position, for each panel.
        title: Above all panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(curves), 3.4), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for panel, (name, curve) in zip(panels, curves.items(), strict=True):
        panel.plot(list(curve), [100.0 * value for value in curve.values()], marker="o")
        panel.set_xscale("log")
        panel.set_xlabel(name)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy under PGD (%)")
    panels[0].set_ylim(-2.0, 102.0)
    figure.suptitle(title, fontsize=9)
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Writes a figure, whole or not at all, in the format that the file's name ends in."""
    from lsp_keras.storage import atomic_path

    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
