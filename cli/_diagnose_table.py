"""What was measured of one model, or of two side by side, as one table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lsp_keras.runs.subjects.subject import Findings
from lsp_keras.types import radius_text

_CHECKS = "checks: number (limit)"
_SWEEPS = {
    "radius": "PGD, radius: {}",
    "steps": "PGD, steps: {:g}",
    "temperature": "PGD, logits / {:g}",
    "constant": "cw-l2-fixed-c, c = {:g}",
    "structure": "PGD with {:g} x LSP term",
}
_SINGLES = {
    "clean": "clean",
    "fgsm": "FGSM",
    "margin": "PGD on the margin",
    "square": "square attack",
    "transfer": "PGD on the plain model",
    "white_box": "all plain gradient attacks",
}

Rows = dict[str, str]


def print_findings(findings: Sequence[Findings], *, details: bool = False) -> None:
    """Prints each model's verdict with what to do, then which checks it failed and passed.

    Args:
        findings: Findings of one model or of two.
        details: Whether all other numbers follow; else it is said where they are.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    for item in findings:
        console.print(statement(item, named=len(findings) > 1), markup=False)
    sections = [_sections(item) for item in findings]
    shown = [title for title in sections[0] if details or title == _CHECKS]
    folded = [t for t in sections[0] if t not in shown and any(part[t] for part in sections)]
    table = Table("", *(escape(item.name) for item in findings), box=None)
    for title in shown:
        labels = dict.fromkeys(label for part in sections for label in part[title])
        if labels:
            table.add_section()
            table.add_row(title, style="bold")
        for label in labels:
            table.add_row(f"  {escape(label)}", *(part[title].get(label, "-") for part in sections))
    console.print(table, soft_wrap=False)
    if folded:
        console.print(f"With --details, and in the record: {', '.join(folded)}.", markup=False)


def statement(item: Findings, *, named: bool) -> str:
    """The verdict first, then numbers, flags, remarks and missing checks, each in a line."""
    name = f"{item.name}: " if named else ""
    if item.diagnosis is None:
        return f"{name}Signs of gradient masking were not looked for."
    return name + "\n".join(item.diagnosis.lines)


def _sections(item: Findings) -> dict[str, Rows]:
    return {
        _CHECKS: _signs(item.diagnosis),
        "accuracy": _accuracies(item.diagnosis),
        "answers": _answers(item.profile),
        "layers": _layers(item.profile),
    }


def _signs(diagnosis: Any | None) -> Rows:
    """Whether each check was passed, with its number and limit; failed ones first."""
    if diagnosis is None:
        return {}
    checks = sorted(diagnosis.checks, key=lambda check: not check.is_raised)
    return {
        check.name: f"{'FAIL' if check.is_raised else 'pass'}  "
        f"{check.number:.3g} ({check.threshold:.3g})"
        for check in checks
    }


def _accuracies(diagnosis: Any | None) -> Rows:
    if diagnosis is None:
        return {}
    singles = {
        _SINGLES[name]: _percent(value) for name, value in diagnosis.single_accuracies.items()
    }
    sweeps = {
        _SWEEPS[name].format(
            radius_text(key, diagnosis.threat.norm) if name == "radius" else key
        ): _percent(value)
        for name, curve in diagnosis.sweeps.items()
        for key, value in curve.items()
    }
    return singles | sweeps


def _answers(profile: Any | None) -> Rows:
    if profile is None:
        return {}
    rows: Rows = {}
    for kind, part in profile.answers.items():
        what = kind.replace("_", ", ")
        margins = part.margins
        rows |= {
            f"{what}: error": _percent(part.error),
            f"{what}: loss": f"{part.losses.mean():.3f}",
            f"{what}: margin": f"{margins.mean():.2f} +- {margins.std():.2f}",
            f"{what}: margins near 0": _percent(part.near_zero),
            f"{what}: confidence": f"{part.confidences.mean():.3f}",
            f"{what}: entropy": f"{part.entropies.mean():.3f}",
            f"{what}: calibration error": f"{part.calibration.error:.3f}",
        }
    for kind, gap in profile.gaps.items():
        rows[f"test less train, {kind}: loss"] = f"{gap['loss']:+.3f}"
        rows[f"test less train, {kind}: error"] = f"{100 * gap['error']:+.1f} points"
    return rows


def _layers(profile: Any | None) -> Rows:
    if profile is None:
        return {}
    values: Mapping[str, Sequence[float]] = {
        "largest singular value": [part.values[0] for part in profile.spectra],
        "middle singular value": [part.quantile(0.5) for part in profile.spectra],
        "feature change, adversarial": [part.adversarial for part in profile.feature_changes],
        "feature change, random": [part.random for part in profile.feature_changes],
        "adversarial over random": [part.ratio for part in profile.feature_changes],
        "unevenness over directions": [part.unevenness for part in profile.feature_changes],
    }
    rows = {f"{name}: median layer": _middle(numbers) for name, numbers in values.items()}
    if profile.feature_changes:
        last = profile.feature_changes[-1]
        rows[f"feature change, adversarial: {last.layer}"] = f"{last.adversarial:.3g}"
        rows[f"feature change, random: {last.layer}"] = f"{last.random:.3g}"
    return rows if profile.spectra else {}


def _middle(numbers: Sequence[float]) -> str:
    return f"{np.median(numbers):.3g}" if numbers else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
