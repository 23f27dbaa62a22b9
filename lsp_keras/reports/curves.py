"""The charts of a report: accuracy by radius and by steps, calibration, and training."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_keras.reports.charts import Chart, evenly_spaced, line_chart
from lsp_keras.types import radius_text
from lsp_keras.validation import InputError

Record = Mapping[str, Any]
_PERCENT = (0.0, 100.0)
_ACCURACIES = {
    "val_accuracy": "clean",
    "val_robust_accuracy": "PGD",
    "val_ema_accuracy": "clean, averaged weights",
    "val_ema_robust_accuracy": "PGD, averaged weights",
}
_LOSSES = {"loss": "whole loss", "cross_entropy": "cross-entropy", "lsp": "LSP term"}


def radius_chart(diagnosis: Record | None) -> Chart | None:
    """Accuracy under PGD against the radius."""
    curve = _curve(diagnosis, "epsilon")
    if diagnosis is None or not curve:
        return None
    norm, epsilon = (diagnosis["threat_model"][name] for name in ("norm", "epsilon"))
    ticks = {float(place): radius_text(value, norm) for place, value in enumerate(curve)}
    here = [place for place, value in enumerate(curve) if abs(value - epsilon) < 1e-9]
    return line_chart(
        "Accuracy under PGD by radius",
        {"PGD": evenly_spaced(curve)},
        x_label="radius of the attack",
        y_label="accuracy (%)",
        x_ticks=ticks,
        y_range=_PERCENT,
        mark=(float(here[0]), "this report") if here else None,
    )


def steps_chart(diagnosis: Record | None) -> Chart | None:
    """Accuracy under PGD against its number of steps."""
    curve = _curve(diagnosis, "steps")
    if not curve:
        return None
    return line_chart(
        "Accuracy under PGD by number of steps",
        {"PGD": evenly_spaced(curve)},
        x_label="steps of the attack",
        y_label="accuracy (%)",
        x_ticks={float(place): f"{value:g}" for place, value in enumerate(curve)},
        y_range=_PERCENT,
    )


def calibration_chart(profile: Record | None) -> Chart | None:
    """How often the model is right, against how sure it is."""
    if profile is None:
        return None
    names = {"test_clean": "test images", "test_adversarial": "attacked test images"}
    series = {
        name: [
            (100 * item["confidence"], 100 * item["accuracy"])
            for item in profile["answers"][kind]["calibration"]["bins"]
            if item["images"]
        ]
        for kind, name in names.items()
        if kind in profile["answers"]
    }
    return line_chart(
        "Accuracy by confidence",
        {**series, "perfect": [(0.0, 0.0), (100.0, 100.0)]},
        x_label="how sure the model is (%)",
        y_label="how often it is right (%)",
        x_ticks={float(value): str(value) for value in range(0, 101, 20)},
        y_range=_PERCENT,
    )


def training_charts(run: Path | None) -> list[Chart]:
    """Accuracy on held-out images and loss over the epochs; none for a model without a history."""
    from lsp_keras.runs.files.history import load_history

    if run is None:
        return []
    charts = []
    with contextlib.suppress(InputError):
        history = load_history(run)
        radius = history.settings.get("validation_epsilon")
        best = history.best_epoch
        mark = None if best is None else (float(best), "kept")
        for title, names, factor, y_label in (
            ("Accuracy on held-out images", _ACCURACIES, 100.0, "accuracy (%)"),
            ("Training loss", _LOSSES, 1.0, "loss"),
        ):
            series = {
                name.replace("PGD", f"PGD at {radius}" if radius else "PGD"): [
                    (float(epoch), factor * value)
                    for epoch, value in zip(history.epochs, history.columns[column], strict=True)
                ]
                for column, name in names.items()
                if column in history.columns and not _repeats(history.columns, column)
            }
            if series:
                charts.append(
                    line_chart(
                        title,
                        series,
                        x_label="epoch",
                        y_label=y_label,
                        y_range=_PERCENT if factor == 100.0 else None,
                        mark=mark,
                    )
                )
    return charts


def _repeats(columns: Mapping[str, list[float]], column: str) -> bool:
    """Whether the whole loss is the cross-entropy, as it is without other terms."""
    return column == "loss" and columns.get("cross_entropy") == columns[column]


def _curve(diagnosis: Record | None, name: str) -> dict[float, float]:
    key = {"epsilon": "accuracy_by_epsilon", "steps": "accuracy_by_steps"}[name]
    pairs = [] if diagnosis is None else diagnosis.get(key, [])
    return {pair[name]: pair["accuracy"] for pair in pairs}
