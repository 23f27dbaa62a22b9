"""Pictures of a diagnosis and of a profile, of one model or of two side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from lsp_keras.plots.figure import plain, save
from lsp_keras.plots.run_curves import RUN_COLORS, RUN_STYLES
from lsp_keras.runs.subjects.subject import Findings
from lsp_keras.types import radius_text

_WIDEST_TITLE = 110
_SWEEPS = {
    "radius": "radius of PGD (dotted: this threat)",
    "steps": "steps of PGD",
    "temperature": "divisor of the logits",
    "constant": "c of cw-l2-fixed-c",
    "structure": "weight of the LSP term",
}
_ANSWERS = {
    "train_clean": "training images, clean",
    "train_adversarial": "training images, adversarial",
    "test_clean": "test images, clean",
    "test_adversarial": "test images, adversarial",
}
_MARGIN_BINS = 40
_LEVELS = 13
# Range of loss that is drawn at least: a saturated softmax leaves none at all.
_FLATTEST = 1e-3
# Quantiles below this part of the largest value are drawn there: zero has no place on the axis.
_FLOOR = 1e-4


def draw_findings(stem: Path, findings: Sequence[Findings]) -> list[Path]:
    """Draws everything that was measured.

    Args:
        stem: Folder and first part of the files' names.
        findings: Findings on one or two models.

    Returns:
        The PNG files.
    """
    named = {plain(item.name): item for item in findings}
    diagnosed = {k: item.diagnosis for k, item in named.items() if item.diagnosis is not None}
    profiled = {k: item.profile for k, item in named.items() if item.profile is not None}
    layered = {name: item for name, item in profiled.items() if item.spectra}
    figures: dict[str, tuple[Callable[[Any], Any], Mapping[str, Any]]] = {
        "curves": (draw_curves, diagnosed),
        "surface": (draw_surfaces, diagnosed),
        "margins": (draw_margins, profiled),
        "calibration": (draw_calibration, profiled),
        "singular-values": (draw_singular_values, layered),
        "features": (draw_feature_changes, layered),
    }
    paths = []
    for name, (draw, content) in figures.items():
        if content:
            paths.append(stem.with_name(f"{stem.name}-{name}.png"))
            save(draw(content), paths[-1])
    return paths


def draw_curves(diagnoses: Mapping[str, Any]) -> Any:
    """Accuracy against radius, steps, divisor of the logits, CW's c and weight of the LSP term."""
    sweeps = [name for name in _SWEEPS if any(name in item.sweeps for item in diagnoses.values())]
    figure, panels = _figure(1, len(sweeps), (3.1, 3.2), sharey=True)
    for panel, name in zip(panels, sweeps, strict=True):
        for place, (color, (label, item)) in enumerate(_colored(diagnoses)):
            curve = item.sweeps.get(name, {})
            accuracies = [100.0 * value for value in curve.values()]
            panel.plot(
                list(curve),
                accuracies,
                RUN_STYLES[place],
                marker="o",
                color=color,
                label=f"{label}: {item.num_examples:,} test images, {item.threat}",
            )
            if name == "radius":
                panel.axvline(item.threat.epsilon, color="black", linestyle=":", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xlabel(_SWEEPS[name])
        panel.grid(alpha=0.3)
        _mark_values(
            panel,
            {
                key: radius_text(key, item.threat.norm) if name == "radius" else _short(key)
                for item in diagnoses.values()
                for key in item.sweeps.get(name, {})
            },
        )
    panels[0].set_ylabel("accuracy (%)")
    panels[0].set_ylim(-2.0, 102.0)
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    verdicts = [f"{label}: {plain(item.verdict)}" for label, item in diagnoses.items()]
    figure.suptitle("\n".join(fill(text, _WIDEST_TITLE) for text in verdicts), fontsize=9)
    return figure


def _mark_values(panel: Any, texts: Mapping[float, str]) -> None:
    """A tick for each measured value, since a logarithmic axis may be shorter than a decade."""
    panel.set_xticks(list(texts), list(texts.values()), rotation=45, fontsize=8)
    panel.minorticks_off()


def _short(value: float) -> str:
    return f"{value:g}" if value >= 1.0 else f"{value:.2g}"


def draw_surfaces(diagnoses: Mapping[str, Any]) -> Any:
    """Cross entropy along the adversarial and a random direction: a row for each model."""
    figure, panels = _figure(len(diagnoses), 2, (4.6, 3.6))
    for row, (label, item) in enumerate(diagnoses.items()):
        surface = item.surface
        left, right = panels[2 * row : 2 * row + 2]
        lowest, highest = surface.mean.min(), surface.mean.max()
        levels = np.linspace(lowest, max(highest, lowest + _FLATTEST), _LEVELS)
        filled = left.contourf(surface.offsets, surface.offsets, surface.mean.T, levels=levels)
        figure.colorbar(filled, ax=left, label="mean cross entropy", format="%.3g")
        left.plot([0.0, 1.0], [0.0, 0.0], "wo", markeredgecolor="black")
        for place, text in ((0.0, "image"), (1.0, "attacked")):
            left.annotate(
                text, (place, 0.0), (0, 7), textcoords="offset points", ha="center", color="white"
            )
        left.set_xlabel("along the attack's perturbation")
        left.set_ylabel("along a random one")
        left.set_title(f"{label}, {len(surface.losses)} images", fontsize=9)
        _draw_lines(right, surface)
    return figure


def _draw_lines(panel: Any, surface: Any) -> None:
    for color, name, losses in (
        ("tab:red", "attack's", surface.along_adversarial),
        ("tab:gray", "random", surface.along_random),
    ):
        low, middle, high = np.quantile(losses, (0.25, 0.5, 0.75), axis=0)
        panel.fill_between(surface.offsets, low, high, color=color, alpha=0.2, linewidth=0)
        panel.plot(surface.offsets, middle, color=color, label=f"{name} direction")
    panel.set_xlabel("multiple of the perturbation")
    panel.set_ylabel("cross entropy: median, quartiles")
    panel.legend(fontsize=8)
    panel.grid(alpha=0.3)


def draw_margins(profiles: Mapping[str, Any]) -> Any:
    """Histograms of the margins, clean and adversarial, of training and test images."""
    kinds = _measured(profiles)
    figure, panels = _figure(len(kinds) // 2, 2, (4.4, 2.9), sharex=True)
    everything = np.concatenate(
        [item.answers[kind].margins for kind in kinds for item in profiles.values()]
    )
    edges = np.linspace(everything.min(), everything.max(), _MARGIN_BINS + 1)
    for panel, kind in zip(panels, kinds, strict=True):
        for color, (label, item) in _colored(profiles):
            part = item.answers[kind]
            shares = np.full(len(part.margins), 100.0 / len(part.margins))
            text = f"{label}: {part.margins.mean():.2f} ± {part.margins.std():.2f}"
            text += f", {100 * part.near_zero:.0f} % near 0"
            panel.hist(part.margins, edges, weights=shares, color=color, alpha=0.5, label=text)
        panel.axvline(0.0, color="black", linewidth=0.8)
        _legend_above(panel, title=_counted(kind, profiles))
    for panel in panels[-2:]:
        panel.set_xlabel("margin: label's logit less the largest other")
    for panel in panels[::2]:
        panel.set_ylabel("images (%)")
    return figure


def draw_calibration(profiles: Mapping[str, Any]) -> Any:
    """Accuracy against confidence, and how often each confidence occurs, on test images."""
    kinds = [kind for kind in _measured(profiles) if kind.startswith("test")]
    figure, panels = _figure(2, 2, (4.2, 2.9), sharex=True)
    for column, kind in enumerate(kinds):
        upper, lower = panels[column], panels[2 + column]
        upper.plot([0, 1], [0, 1], "--", color="black", linewidth=0.8, label="perfect")
        for color, (label, item) in _colored(profiles):
            bins = item.answers[kind].calibration
            filled = bins.counts > 0
            text = f"{label}: error {bins.error:.3f}"
            upper.plot(
                bins.confidence[filled], bins.accuracy[filled], "o-", color=color, label=text
            )
            shares = 100.0 * bins.counts / bins.counts.sum()
            lower.bar(
                bins.edges[:-1], shares, np.diff(bins.edges), align="edge", color=color, alpha=0.5
            )
        _legend_above(upper, title=_counted(kind, profiles))
        lower.set_xlabel("confidence")
    panels[0].set_ylabel("accuracy")
    panels[2].set_ylabel("images (%)")
    return figure


def draw_singular_values(profiles: Mapping[str, Any]) -> Any:
    """Largest, middle half and all but the outer twentieths of each layer's singular values."""
    names = _layer_names(profiles, "spectra")
    figure, (panel,) = _figure(1, 1, (max(8.0, 0.42 * len(names)), 4.4))
    for color, (label, item) in _colored(profiles):
        places = [names.index(part.layer) for part in item.spectra]
        low, lower, middle, upper, high = (
            np.array([max(part.quantile(share), _FLOOR * part.values[0]) for part in item.spectra])
            for share in (0.05, 0.25, 0.5, 0.75, 0.95)
        )
        largest = [part.values[0] for part in item.spectra]
        panel.fill_between(places, low, high, color=color, alpha=0.12, linewidth=0)
        panel.fill_between(places, lower, upper, color=color, alpha=0.25, linewidth=0)
        panel.plot(places, middle, color=color, label=f"{label}: median; bands 50 %, 90 %")
        panel.plot(places, largest, "^", color=color, label=f"{label}: largest")
    panel.set_yscale("log")
    panel.set_ylabel("singular values, batch norm folded in")
    _name_layers(panel, names)
    _legend_above(panel, columns=2)
    return figure


def draw_feature_changes(profiles: Mapping[str, Any]) -> Any:
    """Relative change of each layer's output, and how uneven it is over random directions."""
    names = _layer_names(profiles, "feature_changes")
    figure, (upper, lower) = _figure(2, 1, (max(8.0, 0.42 * len(names)), 2.9), sharex=True)
    for color, (label, item) in _colored(profiles):
        parts = item.feature_changes
        places = [names.index(part.layer) for part in parts]
        upper.plot(
            places,
            [part.adversarial for part in parts],
            "o-",
            color=color,
            label=f"{label}: adversarial",
        )
        upper.plot(
            places,
            [part.random for part in parts],
            "o--",
            color=color,
            mfc="white",
            label=f"{label}: random, same length",
        )
        lower.plot(places, [part.unevenness for part in parts], "o-", color=color, label=label)
    upper.set_yscale("log")
    upper.set_ylabel("|h(x + d) - h(x)| / |h(x)|", fontsize=9)
    lower.set_ylabel("unevenness over\nrandom directions")
    lower.set_ylim(bottom=0.0)
    upper.grid(alpha=0.3)
    _legend_above(upper, columns=2)
    _name_layers(lower, names)
    return figure


def _figure(
    rows: int,
    columns: int,
    panel_size: tuple[float, float],
    *,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Any, list[Any]]:
    """A figure and its panels, row by row."""
    from matplotlib.figure import Figure

    size = (panel_size[0] * columns, panel_size[1] * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    return figure, list(panels.flat)


def _legend_above(panel: Any, *, title: str | None = None, columns: int = 1) -> None:
    """Outside of the panel, where it hides no data."""
    panel.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        title=title,
        fontsize=8,
        title_fontsize=9,
        alignment="left",
        frameon=False,
    )


def _counted(kind: str, profiles: Mapping[str, Any]) -> str:
    """Kind of images with their number, such as `200 test images, clean`."""
    counts = {len(item.answers[kind].margins) for item in profiles.values()}
    return f"{' or '.join(f'{count:,}' for count in sorted(counts))} {_ANSWERS[kind]}"


def _colored(content: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, Any]]]:
    return zip(RUN_COLORS, content.items(), strict=False)


def _measured(profiles: Mapping[str, Any]) -> list[str]:
    """Kinds of images that all models were measured on."""
    return [kind for kind in _ANSWERS if all(kind in item.answers for item in profiles.values())]


def _layer_names(profiles: Mapping[str, Any], what: str) -> list[str]:
    """Names of all models' layers, in the order of the first model that has each."""
    return list(
        dict.fromkeys(part.layer for item in profiles.values() for part in getattr(item, what))
    )


def _name_layers(panel: Any, names: Sequence[str]) -> None:
    panel.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    panel.set_xlim(-0.6, len(names) - 0.4)
    panel.grid(alpha=0.3)
