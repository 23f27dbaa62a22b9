"""The record of a search for signs of gradient masking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_keras.evaluation.diagnosis.surface import LossSurface
from lsp_keras.evaluation.flags import raised
from lsp_keras.evaluation.provenance import hardware, versions
from lsp_keras.evaluation.share import Share
from lsp_keras.evaluation.statement import Facts, lines, statement, verdict
from lsp_keras.types import Flag, ThreatModel

# What the groups of attacks with more than one member vary, as the record calls it.
_SWEEPS = {
    "radius": "epsilon",
    "steps": "steps",
    "temperature": "temperature",
    "constant": "constant",
    "structure": "structure_weight",
}
_SINGLE = ("clean", "fgsm", "margin", "square", "transfer")


@dataclass(frozen=True)
class Diagnosis:
    """What the checks found.

    Attributes:
        threat: What the attacker may do.
        checks: All signs that were looked for, raised or not.
        skipped: Why a sign was not looked for, by its name.
        remarks: What else is worth knowing and says nothing about masking.
        accuracies: Share of images that stand, by group of attacks (`"clean"`, `"radius"`,
            `"steps"`, `"temperature"`, `"margin"`, `"fgsm"`, `"square"`, `"constant"`, and
            where they were possible `"transfer"` and `"structure"`) and by what it varies.
        white_box_accuracy: Share that stands after all plain gradient attacks in the ball.
        surface: The loss around some of the images.
        num_examples: Images looked at.
        num_classes: Number of the model's classes.
        seed: Seed of the attacks' random draws.
        model_fingerprint: Fingerprint of architecture and weights.
        seconds: Wall time.
        context: What the caller knows besides.
    """

    threat: ThreatModel
    checks: Sequence[Flag]
    skipped: Mapping[str, str]
    remarks: Sequence[Flag]
    accuracies: Mapping[str, Mapping[float, float]]
    white_box_accuracy: float
    surface: LossSurface
    num_examples: int
    num_classes: int
    seed: int
    model_fingerprint: str | None
    seconds: float
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> list[Flag]:
        """Signs of masking, none where nothing was found."""
        return raised(self.checks)

    @property
    def facts(self) -> Facts:
        """What the verdict is made from."""
        clean = next(iter(self.accuracies["clean"].values()))
        return Facts(
            threat=self.threat,
            num_classes=self.num_classes,
            clean=_share(clean, self.num_examples),
            robust=_share(self.white_box_accuracy, self.num_examples),
            attacks=["plain gradient attacks"],
            doubts=self.flags,
            near=[check for check in self.checks if check.is_near],
            remarks=self.remarks,
            num_checks=len(self.checks),
            unchecked=self.skipped,
        )

    @property
    def verdict(self) -> str:
        """The answer in a sentence or two."""
        return verdict(self.facts)

    @property
    def lines(self) -> list[str]:
        """The verdict and all that belongs to it, for a terminal."""
        return lines(self.facts)

    @property
    def single_accuracies(self) -> dict[str, float]:
        """Accuracy under each attack that is no part of a sweep, by its group."""
        singles = {
            name: next(iter(self.accuracies[name].values()))
            for name in _SINGLE
            if name in self.accuracies
        }
        return singles | {"white_box": self.white_box_accuracy}

    @property
    def sweeps(self) -> dict[str, Mapping[float, float]]:
        """Accuracies of the groups that vary something."""
        return {name: self.accuracies[name] for name in _SWEEPS if name in self.accuracies}

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, the verdict first."""
        return {
            "verdict": self.verdict,
            "statement": statement(self.facts),
            "flags": [flag.to_dict() for flag in self.flags],
            "checks": [
                {
                    "name": check.name,
                    "number": check.number,
                    "threshold": check.threshold,
                    "raised": check.is_raised,
                    "measure": check.measure,
                }
                for check in self.checks
            ],
            "skipped": dict(self.skipped),
            "remarks": [flag.to_dict() for flag in self.remarks],
            "model_fingerprint": self.model_fingerprint,
            **self.context,
            "threat_model": self.threat.to_dict(),
            "num_examples": self.num_examples,
            **{f"{name}_accuracy": value for name, value in self.single_accuracies.items()},
            **{
                f"accuracy_by_{_SWEEPS[name]}": _pairs(_SWEEPS[name], curve)
                for name, curve in self.sweeps.items()
            },
            "loss_surface": self.surface.to_dict(),
            "seed": self.seed,
            "versions": dict(versions()),
            "hardware": dict(hardware()),
            "seconds": round(self.seconds, 3),
        }


def _pairs(name: str, curve: Mapping[float, float]) -> list[dict[str, float]]:
    return [{name: key, "accuracy": value} for key, value in curve.items()]


def _share(accuracy: float, total: int) -> Share:
    return Share(round(accuracy * total), total)
