"""The record of one evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import Attack, Ensemble
from lsp_keras.evaluation.flags import REMARKS
from lsp_keras.evaluation.share import Share
from lsp_keras.evaluation.statement import Facts, statement
from lsp_keras.types import Flag, ThreatModel

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AttackTraits:
    """What decides which attacks are compared with each other; see `lsp_keras.attacks.Attack`."""

    uses_gradients: bool
    shows_moves: bool
    is_iterative: bool
    makes_queries: bool
    is_ensemble: bool

    @classmethod
    def of(cls, attack: Attack) -> "AttackTraits":
        """The traits of an attack."""
        return cls(
            attack.uses_gradients,
            attack.shows_moves,
            attack.is_iterative,
            attack.makes_queries,
            isinstance(attack, Ensemble),
        )


@dataclass(frozen=True)
class AttackRecord:
    """What one attack left of the accuracy.

    Attributes:
        name: Name that the caller gave the attack.
        attack: Class name.
        config: Constructor arguments.
        accuracy: Examples still classified correctly.
        seconds: Wall time.
        traits: What it is compared with.
    """

    name: str
    attack: str
    config: Mapping[str, Any]
    accuracy: Share
    seconds: float
    traits: AttackTraits

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
        attacks: Records of the attacks in the order they ran.
        worst_case: Examples that no attack broke.
        num_classes: Number of the model's classes.
        flags: Signs that the numbers overstate robustness, and remarks.
        unchecked: Why a sign was not looked for, by its name.
        seed: Seed of the attacks' random draws.
        batch_size: Images attacked at once.
        model_fingerprint: Fingerprint of architecture and weights, `None` where unknown.
        versions: Versions of the software.
        hardware: Processor and GPUs.
        seconds: Wall time of everything.
        verdicts: Bits in hexadecimal, see `pack_verdicts`, in the order of the images: `"clean"`
            says which are classified correctly, `"worst_case"` which no attack broke, and an
            attack's name which it left.
        context: What the caller knows besides: paths, dataset, command.
        unmoved: Number of images that stand and that no gradient attack moved.
    """

    threat: ThreatModel
    clean: Share
    attacks: Sequence[AttackRecord]
    worst_case: Share
    num_classes: int
    flags: Sequence[Flag]
    seed: int
    batch_size: int
    model_fingerprint: str | None
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    seconds: float
    unchecked: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    unmoved: int = 0

    @property
    def facts(self) -> Facts:
        """What the statement is made from."""
        versions = [
            record.config["version"] for record in self.attacks if record.attack == "AutoAttack"
        ]
        return Facts(
            threat=self.threat,
            num_classes=self.num_classes,
            clean=self.clean,
            robust=self.worst_case,
            attacks=[record.name for record in self.attacks],
            version=next(iter(sorted(versions, key=_standard_first)), None),
            doubts=[flag for flag in self.flags if flag.name not in REMARKS],
            remarks=[flag for flag in self.flags if flag.name in REMARKS],
            unchecked=self.unchecked,
        )

    @property
    def statement(self) -> str:
        """The result in words, doubts first."""
        return statement(self.facts)

    @property
    def is_autoattack(self) -> bool:
        """Whether the standard version of AutoAttack is among the attacks."""
        return self.facts.is_standard_autoattack

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, the statement first."""
        return {
            "statement": self.statement,
            "is_judgeable": self.facts.is_judgeable,
            "is_autoattack": self.is_autoattack,
            "flags": [flag.to_dict() for flag in self.flags],
            "unchecked": dict(self.unchecked),
            "model_fingerprint": self.model_fingerprint,
            **self.context,
            "threat_model": self.threat.to_dict(),
            "num_examples": self.clean.total,
            "num_classes": self.num_classes,
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
        correct: Whether each image is classified right, bool `(n,)`.

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


def _standard_first(version: str) -> bool:
    return version != "standard"
