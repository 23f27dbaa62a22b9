"""What a measurement may say of a model: one function words it, from the facts alone.

A sentence of a report, a diagnosis, a run's summary or a model card comes from here, so that no
two of them contradict each other. Where several things could be said first, the order is:

1. There is nothing to judge: clean accuracy is no better than guessing.
2. The numbers are in doubt: a sign of gradient masking was found.
3. The numbers, with their radius and their sample.
4. What they are from: AutoAttack's standard version, another version, or no AutoAttack.
5. Remarks, and what was not checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lsp_keras.evaluation.share import Share
from lsp_keras.types import Flag, ThreatModel

_STANDARD = "standard"
# AutoAttack's targeted attacks need so many classes; below, others stand in for them.
_TARGETED_CLASSES = 4


@dataclass(frozen=True)
class Facts:
    """What is known of a measurement.

    Attributes:
        threat: What the attacker may do.
        num_classes: Number of the model's classes.
        clean: Images that the model is right on.
        robust: Images that no attack broke.
        attacks: Names of the attacks in the order they ran.
        version: Version of AutoAttack among them, `None` without it.
        doubts: Signs of gradient masking that were raised.
        near: Signs that were not raised, but come near their threshold.
        remarks: Other flags that were raised: what they say is nothing against the numbers.
        num_checks: Number of signs that a diagnosis looked for; 0 for an evaluation.
        unchecked: Why a sign was not looked for, by its name.
        sample: What the images are, in the plural.
    """

    threat: ThreatModel
    num_classes: int
    clean: Share
    robust: Share
    attacks: Sequence[str]
    version: str | None = None
    doubts: Sequence[Flag] = ()
    near: Sequence[Flag] = ()
    remarks: Sequence[Flag] = ()
    num_checks: int = 0
    unchecked: Mapping[str, str] = field(default_factory=dict)
    sample: str = "images"

    @property
    def is_judgeable(self) -> bool:
        """Whether the model is better than guessing, by its interval's lower end."""
        return self.clean.interval[0] > 1.0 / self.num_classes

    @property
    def is_standard_autoattack(self) -> bool:
        """Whether the number is what the field calls AutoAttack's."""
        return self.version == _STANDARD and self.num_classes >= _TARGETED_CLASSES


def verdict(facts: Facts) -> str:
    """The first thing to say, in one sentence or in one for each doubt."""
    if not facts.is_judgeable:
        return (
            f"Nothing to judge: the model is right on {facts.clean.count:,} of "
            f"{facts.clean.total:,} {facts.sample}, which is no better than guessing among "
            f"{facts.num_classes} classes."
        )
    if facts.doubts and facts.num_checks:
        names = ", ".join(flag.name for flag in facts.doubts)
        return f"The measured robustness is not to be trusted: {names}."
    if facts.doubts:
        return " ".join(map(str, facts.doubts))
    if facts.num_checks and facts.near:
        near = ", ".join(
            f"{flag.name} ({flag.number:.2g} of {flag.threshold:.2g})" for flag in facts.near
        )
        return (
            f"No sign of gradient masking in {facts.num_checks} checks, but not beyond doubt: "
            f"near its threshold is {near}."
        )
    if facts.num_checks:
        return f"No sign of gradient masking in {facts.num_checks} checks."
    return numbers(facts)


def numbers(facts: Facts) -> str:
    """Robust and clean accuracy with the radius and the sample they belong to."""
    return (
        f"Robust accuracy {facts.robust} under {', '.join(facts.attacks)} at "
        f"{facts.threat} on {facts.clean.total:,} {facts.sample}, of which "
        f"{100 * facts.clean.value:.1f} % are classified correctly without an attack."
    )


def origin(facts: Facts) -> str:
    """Which attack the robust accuracy is from, and what that makes of it."""
    if facts.is_standard_autoattack:
        return "It is from AutoAttack, standard version."
    if facts.version == _STANDARD:
        return (
            f"It is from AutoAttack's attacks, but not its standard version: with "
            f"{facts.num_classes} classes untargeted attacks replace the targeted ones."
        )
    if facts.version is not None:
        return f"It is from AutoAttack's version {facts.version}, not its standard version."
    return "It is not from AutoAttack, so it is an upper bound that may be far too high."


def statement(facts: Facts) -> str:
    """All that may be said, the first thing first."""
    if not facts.is_judgeable:
        return verdict(facts)
    first = verdict(facts)
    parts = [first] if first == numbers(facts) else [first, numbers(facts)]
    parts.append(origin(facts))
    # Of few classes the origin has spoken.
    parts += [str(flag) for flag in facts.remarks if flag.name != "few_classes"]
    parts += [f"Not checked, {name}: {reason}." for name, reason in facts.unchecked.items()]
    return " ".join(parts)


def lines(facts: Facts) -> list[str]:
    """The same for a terminal: the verdict, then what was measured, each doubt and each remark.

    Where there is nothing to judge, nothing follows.
    """
    if not facts.is_judgeable:
        return [verdict(facts)]
    first = verdict(facts)
    return [
        first,
        *([] if first == numbers(facts) else [numbers(facts)]),
        *(f"- {flag.name}: {flag}" for flag in facts.doubts),
        *(f"Remark, {flag.name}: {flag}" for flag in facts.remarks),
        *(f"Not checked, {name}: {reason}." for name, reason in facts.unchecked.items()),
    ]


def validation_sentence(
    clean: float, robust: float, *, num_steps: int, threat: ThreatModel, num_images: int
) -> str:
    """What a run may say of its chosen epoch, measured on images held out from training.

    Args:
        clean: Accuracy without an attack, in [0, 1].
        robust: Accuracy under PGD.
        num_steps: Steps of PGD.
        threat: What PGD may do.
        num_images: Number of held-out images.
    """
    return (
        f"clean {clean:.1%}, PGD-{num_steps} {robust:.1%} at {threat} on "
        f"{num_images:,} held-out training images (not AutoAttack)"
    )
