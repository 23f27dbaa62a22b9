"""The LSP paper's figures, drawn from what was measured here."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from lsp_keras.plots.figure import plain, save, set_from_zero
from lsp_keras.plots.run_curves import BLUE, GRAY, ORANGE, RED
from lsp_keras.runs.files.history import History

# Farther out lie few points, which would press all others together.
_WIDEST = 99.5
_WIDEST_TITLE = 90


def draw_losses(path: Path, histories: Mapping[str, History], title: str) -> None:
    """Cross-entropy and LSP loss over training, a panel for each network, as in Figure 3.

    Args:
        path: File of the picture.
        histories: Histories by the network's name; each has the LSP loss, measured or trained on.
        title: Title of the whole.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 0.5 + 2.5 * len(histories)), layout="constrained")
    places = figure.subplots(len(histories), sharex=True, squeeze=False)[:, 0]
    for place, (name, history) in zip(places, histories.items(), strict=True):
        other = place.twinx()
        for side, column, label, color, style in (
            (place, "cross_entropy", "cross-entropy (left)", BLUE, "-"),
            (other, "lsp", "LSP loss (right)", ORANGE, "--"),
        ):
            values = history.columns[column]
            side.plot(history.epochs, values, color=color, linestyle=style, marker="o", ms=3)
            side.set_ylabel(label, color=color)
            side.tick_params(axis="y", labelcolor=color)
            set_from_zero(side)
        place.set_title(name, fontsize=10, loc="left")
        place.grid(alpha=0.3)
        place.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    places[-1].set_xlabel("epoch")
    said = f"{plain(title)}; the LSP loss is only measured"
    figure.suptitle(fill(said, _WIDEST_TITLE), fontsize=10)
    save(figure, path)


def draw_distances(path: Path, found: Mapping[str, Any], title: str) -> None:
    """Neighbors' distances in features against those in logits, a panel for each network.

    Args:
        path: File of the picture.
        found: Distances by the network's name, each a `lsp_keras.tables.figures.Distances`.
        title: Title of the whole.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4 * len(found), 4.4), layout="constrained")
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    everything = np.concatenate([item.features.ravel() for item in found.values()])
    low, high = np.percentile(everything, (100 - _WIDEST, _WIDEST))
    top = max(float(np.percentile(item.logits, _WIDEST)) for item in found.values())
    for panel, (name, item) in zip(panels, found.items(), strict=True):
        panel.plot(item.features.ravel(), item.logits.ravel(), ".", color=BLUE, ms=3, alpha=0.4)
        panel.axline((1, 1), slope=1, color=GRAY, linestyle="--", linewidth=1, label="preserved")
        if len(item.attacked):
            middle = float(np.median(item.attacked))
            label = f"attacked image, median of {len(item.attacked):,}: {middle:.2f}"
            panel.axhline(middle, color=RED, linewidth=1.2, label=label)
        count, neighbors = item.features.shape
        panel.set_title(
            f"{name}: {count:,} test images, {neighbors} neighbors each,\n"
            f"rank correlation {item.correlation:.2f}",
            fontsize=9,
        )
        panel.set_xlabel("distance in features / mean of the image's neighbors", fontsize=9)
        panel.grid(alpha=0.3)
        panel.legend(loc="upper left", fontsize=8, frameon=False)
    panels[0].set_ylabel("distance in logits / mean of the image's neighbors", fontsize=9)
    panels[0].set_xlim(low, high)
    panels[0].set_ylim(0.0, max(top, 1.05))
    figure.suptitle(fill(plain(title), _WIDEST_TITLE), fontsize=10)
    save(figure, path)
