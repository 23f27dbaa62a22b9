"""The record of a search for signs of gradient masking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_keras.evaluation._flags import Flag
from lsp_keras.evaluation._provenance import hardware, versions
from lsp_keras.types import ThreatModel


@dataclass(frozen=True)
class Diagnosis:
    """What the checks found.

    Attributes:
        threat: What the attacker may do.
        clean_accuracy: Share of images that the model is right on.
        flags: Signs of masking, none where nothing was found.
        num_checks: How many kinds of signs were looked for.
        epsilon_curve: Accuracy under PGD by radius.
        step_curve: Accuracy under PGD by number of steps, at the threat's radius.
        temperature_curve: Accuracy under PGD by divisor of the logits.
        fgsm_accuracy: Under one step.
        square_accuracy: Under the square attack, without gradients.
        num_examples: Images looked at.
        seed: Of the attacks.
        model_fingerprint: Of architecture and weights.
        seconds: Wall time.
        context: What the caller knows besides.
    """

    threat: ThreatModel
    clean_accuracy: float
    flags: Sequence[Flag]
    num_checks: int
    epsilon_curve: Mapping[float, float]
    step_curve: Mapping[int, float]
    temperature_curve: Mapping[float, float]
    fgsm_accuracy: float
    square_accuracy: float
    num_examples: int
    seed: int
    model_fingerprint: str | None
    seconds: float
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        if not self.flags:
            return f"No sign of gradient masking in {self.num_checks} kinds of checks."
        names = ", ".join(flag.name for flag in self.flags)
        return f"The measured robustness is not to be trusted: {names}."

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, the verdict first."""
        return {
            "verdict": self.verdict,
            "flags": [flag.to_dict() for flag in self.flags],
            "model_fingerprint": self.model_fingerprint,
            **self.context,
            "threat_model": {
                "norm": self.threat.norm,
                "epsilon": self.threat.epsilon,
                "epsilon_text": self.threat.epsilon_text,
            },
            "num_examples": self.num_examples,
            "clean_accuracy": self.clean_accuracy,
            "fgsm_accuracy": self.fgsm_accuracy,
            "square_accuracy": self.square_accuracy,
            "accuracy_by_epsilon": _pairs("epsilon", self.epsilon_curve),
            "accuracy_by_steps": _pairs("steps", self.step_curve),
            "accuracy_by_temperature": _pairs("temperature", self.temperature_curve),
            "seed": self.seed,
            "versions": dict(versions()),
            "hardware": dict(hardware()),
            "seconds": round(self.seconds, 3),
        }


def _pairs(name: str, curve: Mapping[Any, float]) -> list[dict[str, float]]:
    return [{name: key, "accuracy": value} for key, value in curve.items()]
