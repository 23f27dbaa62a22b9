"""The record of one evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.evaluation.share import Share
from lsp_keras.types import Flag, ThreatModel

Booleans = npt.NDArray[np.bool_]

_NORM_TEXTS = {"linf": "L-inf", "l2": "L2", "l1": "L1"}


@dataclass(frozen=True)
class AttackRecord:
    """What one attack left of the accuracy.

    Attributes:
        name: As the caller named it.
        attack: Class name.
        config: Constructor arguments.
        accuracy: Examples still classified correctly.
        seconds: Wall time.
    """

    name: str
    attack: str
    config: Mapping[str, Any]
    accuracy: Share
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "attack": self.attack,
            "config": {name: _plain(value) for name, value in self.config.items()},
            "accuracy": self.accuracy.to_dict(),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Report:
    """Accuracy of one model, clean and under each attack.

    Attributes:
        threat: What the attacker may do.
        clean: Examples classified correctly without an attack.
        attacks: One record for each, in the order they ran.
        worst_case: Examples that no attack broke.
        flags: Signs that the numbers overstate robustness.
        seed: Of the attacks.
        batch_size: Images attacked at once.
        model_fingerprint: Of architecture and weights, `None` where unknown.
        versions: Of the software.
        hardware: Processor and GPUs.
        seconds: Wall time of everything.
        verdicts: Bits in hexadecimal, see `pack_verdicts`, in the order of the images: `"clean"`
            says which are classified correctly, `"worst_case"` which no attack broke.
        context: What the caller knows besides: paths, dataset, command.
    """

    threat: ThreatModel
    clean: Share
    attacks: Sequence[AttackRecord]
    worst_case: Share
    flags: Sequence[Flag]
    seed: int
    batch_size: int
    model_fingerprint: str | None
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    seconds: float
    verdicts: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def statement(self) -> str:
        """The result in one sentence, doubts first."""
        names = ", ".join(record.name for record in self.attacks)
        doubts = "".join(f"{flag} " for flag in self.flags)
        return (
            f"{doubts}Robust accuracy {self.worst_case} under {names} at "
            f"{_NORM_TEXTS[self.threat.norm]} {self.threat.epsilon_text} on "
            f"{self.clean.total:,} images. {self._origin}"
        )

    @property
    def is_autoattack(self) -> bool:
        """Whether the standard version of AutoAttack is among the attacks."""
        return any(
            record.attack == "AutoAttack" and record.config.get("version") == "standard"
            for record in self.attacks
        )

    @property
    def _origin(self) -> str:
        if self.is_autoattack:
            return "It is from AutoAttack, standard version."
        return "It is not from AutoAttack, so it is an upper bound that may be far too high."

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, the statement first."""
        return {
            "statement": self.statement,
            "is_autoattack": self.is_autoattack,
            "flags": [flag.to_dict() for flag in self.flags],
            "model_fingerprint": self.model_fingerprint,
            **self.context,
            "threat_model": {
                "norm": self.threat.norm,
                "epsilon": self.threat.epsilon,
                "epsilon_text": self.threat.epsilon_text,
            },
            "num_examples": self.clean.total,
            "clean_accuracy": self.clean.to_dict(),
            "attacks": {record.name: record.to_dict() for record in self.attacks},
            "worst_case_accuracy": self.worst_case.to_dict(),
            "verdicts": dict(self.verdicts),
            "seed": self.seed,
            "batch_size": self.batch_size,
            "versions": dict(self.versions),
            "hardware": dict(self.hardware),
            "seconds": round(self.seconds, 3),
        }


def pack_verdicts(correct: Booleans) -> str:
    """One bit for each image, first image first, as hexadecimal digits.

    Args:
        correct: bool `(n,)`.

    Example:
        >>> pack_verdicts(np.array([True, False, False, False, True]))
        '88'
    """
    return np.packbits(correct).tobytes().hex()


def unpack_verdicts(digits: str, count: int) -> Booleans:
    """What `pack_verdicts` was given.

    Args:
        digits: Hexadecimal digits.
        count: Number of images.

    Example:
        >>> unpack_verdicts("88", 5).tolist()
        [True, False, False, False, True]
    """
    packed = np.frombuffer(bytes.fromhex(digits), np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)


def _plain(value: Any) -> Any:
    """A constructor's argument as JSON holds it: a function or attack by its name."""
    if isinstance(value, Mapping):
        return list(value)
    return value.__name__ if callable(value) else value
