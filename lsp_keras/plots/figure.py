"""Plots as PNG files."""

import math
from pathlib import Path
from typing import Any


def save(figure: Any, path: Path) -> None:
    """Writes a figure, whole or not at all, in the format that the file's name ends in."""
    from lsp_keras.storage import atomic_path

    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plain(text: str) -> str:
    """A text with names of the user's, as Matplotlib shows it.

    A dollar sign begins no formula, and an underscore at the start hides nothing from a legend.
    """
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def set_from_zero(panel: Any) -> None:
    """Lets the vertical axis begin at zero and end a little above the highest value."""
    values = [float(value) for line in panel.get_lines() for value in line.get_ydata()]
    finite = [value for value in values if math.isfinite(value)]
    panel.set_ylim(0.0, 1.08 * max(finite, default=0.0) or 1.0)
