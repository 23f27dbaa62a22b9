"""The attacks of a diagnosis, and what they leave of one set of images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.attacks import Attack, AttackResult, LogitsFn, Problem, Unperturbed
from lsp_keras.attacks.cw_l2_fixed_c import CWL2FixedC
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.attacks.square import Square
from lsp_keras.evaluation.diagnosis.local_structure import StructureAttack, StructureTerm
from lsp_keras.evaluation.journal import Journal
from lsp_keras.inference.traced import TracedModel
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.types import DEFAULT_EPSILONS, Floats, Integers, Norm, Progress, ThreatModel
from lsp_keras.validation import InputError, parse_epsilon

LARGEST_EPSILONS: Mapping[str, float] = {"linf": 0.5, "l2": 30.0}
NUM_STEPS = 20
_EPSILON_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_STEP_COUNTS = (1, 2, 5, 10, 20, 50)
_TEMPERATURES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
_CONSTANTS = (0.01, 0.1, 1.0, 10.0, 100.0)
# Parts of the LSP term's weight in training: its values are far smaller than cross entropy's.
_STRUCTURE_FACTORS = (1.0, 10.0, 100.0)
_GRADIENT_GROUPS = ("steps", "margin", "fgsm")
# They depend on another model, or on the neighbors of the images.
_OF_OTHERS = ("transfer", "structure")

Booleans = npt.NDArray[np.bool_]
# By what a group of attacks varies, and by the value that each attack has of it.
Plan = dict[str, dict[float, Attack]]


class Transfer(Attack):
    """PGD against another model: what it finds there is tried here.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale.
        norm: Norm of the ball, `"linf"` or `"l2"`.
        num_steps: Steps.
        source: The other model's logits.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_steps: int = NUM_STEPS,
        source: LogitsFn,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = num_steps
        self.source = source

    def run(self, problem: Problem) -> tf.Tensor:
        pgd = PGD(epsilon=self.epsilon, norm=self.norm, num_steps=self.num_steps)
        return pgd.perturb(
            self.source,
            problem.images,
            problem.labels,
            seed=problem.seed,
            indices=problem.indices,
        )


def plan_attacks(
    threat: ThreatModel,
    *,
    num_queries: int,
    transfer_from: LogitsFn | None,
    structure: StructureTerm | None,
) -> Plan:
    """All attacks of a diagnosis.

    Args:
        threat: What the attacker may do.
        num_queries: Queries of the square attack.
        transfer_from: Logits of a plain model, or `None`.
        structure: The LSP term of the images, or `None`.
    """
    ball: dict[str, Any] = {"epsilon": threat.epsilon, "norm": threat.norm}
    most = max(_STEP_COUNTS)
    # One object, so that it runs once for the two curves it belongs to.
    usual = PGD(**ball, num_steps=NUM_STEPS)
    plan: Plan = {
        "clean": {0: Unperturbed(**ball)},
        "radius": {
            radius: usual
            if radius == threat.epsilon
            else PGD(epsilon=radius, norm=threat.norm, num_steps=NUM_STEPS)
            for radius in sweep_of_radii(threat)
        },
        "steps": {
            count: usual if count == NUM_STEPS else PGD(**ball, num_steps=count)
            for count in _STEP_COUNTS
        },
        "temperature": {
            divisor: PGD(**ball, num_steps=NUM_STEPS, objective=Cooled(divisor))
            for divisor in _TEMPERATURES
        },
        "margin": {most: PGD(**ball, num_steps=most, objective="margin")},
        "fgsm": {1: FGSM(**ball)},
        "square": {num_queries: Square(**ball, num_queries=num_queries)},
        "constant": {
            constant: CWL2FixedC(epsilon=_l2_budget(threat), constant=constant)
            for constant in _CONSTANTS
        },
    }
    if transfer_from is not None:
        plan["transfer"] = {NUM_STEPS: Transfer(**ball, source=transfer_from)}
    if structure is not None:
        plan["structure"] = {
            weight: StructureAttack(**ball, num_steps=NUM_STEPS, weight=weight, term=structure)
            for weight in (factor * structure.structure.weight for factor in _STRUCTURE_FACTORS)
        }
    return plan


@dataclass(frozen=True)
class Trials:
    """What attacks leave standing of one set of images.

    Attributes:
        logits_fn: The model.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        labels: Labels, int64 `(n,)`.
        standing: Verdicts `(n,)` by group and value.
        strongest: What PGD with the most steps found.
    """

    logits_fn: LogitsFn
    images: Floats
    labels: Integers
    standing: Mapping[str, Mapping[float, Booleans]]
    strongest: AttackResult

    def accuracies(self, group: str) -> dict[Any, float]:
        """Share of images that stand, by value."""
        return {value: float(left.mean()) for value, left in self.standing[group].items()}

    @property
    def white_box(self) -> Booleans:
        """Images that stand after all plain gradient attacks within the ball, `(n,)`."""
        return self.left(*_GRADIENT_GROUPS)

    def lead(self, group: str) -> float:
        """Share of images that a group breaks and no plain gradient attack did."""
        return float((self.white_box & ~self.left(group)).mean())

    def left(self, *groups: str) -> Booleans:
        """Images that stand after all attacks of these groups, `(n,)`."""
        verdicts = [left for group in groups for left in self.standing[group].values()]
        return np.logical_and.reduce(verdicts)


def run_attacks(
    plan: Plan,
    model: TracedModel,
    images: Floats,
    labels: Integers,
    *,
    batch_size: int,
    seed: int,
    progress: Progress | None,
    journal: Journal | None = None,
) -> Trials:
    """Runs all attacks of a plan.

    Args:
        plan: Attacks by group, with a group `"steps"`; an attack that is in the plan twice runs
            once.
        model: The model, traced once for all attacks.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        labels: Labels, int64 `(n,)`.
        batch_size: Images attacked at once.
        seed: Seed of the attacks' random draws.
        progress: Function that is told each attack's name, its number and their number.
        journal: Verdicts of attacks that ran before, of those that `lasting` names.
    """
    if not plan.get("steps"):
        raise InputError("`plan` must have a group 'steps'.")
    most_steps = plan["steps"][max(plan["steps"])]
    standing: dict[str, dict[float, Booleans]] = {group: {} for group in plan}
    verdicts: dict[Attack, Booleans] = {}
    strongest: AttackResult
    nothing = Journal(None)
    lasts = lasting(plan)
    total, number = sum(map(len, plan.values())), 0

    def run(attack: Attack) -> AttackResult:
        return attack(model, images, labels, seed=seed, batch_size=batch_size)

    for group, attacks in plan.items():
        for value, attack in attacks.items():
            name = f"{group} {value:g}"
            if attack not in verdicts and attack is most_steps:
                strongest = run(attack)
                verdicts[attack] = ~strongest.success
            elif attack not in verdicts:
                kept = journal if journal is not None and name in lasts else nothing
                left = kept.read(name, 0, len(labels))
                verdicts[attack] = ~run(attack).success if left is None else left
                kept.write(name, 0, verdicts[attack])
            standing[group][value] = verdicts[attack]
            number += 1
            if progress is not None:
                progress(name, number, total)
    return Trials(model.attacked, images, labels, standing, strongest)


def sweep_of_radii(threat: ThreatModel) -> list[float]:
    """Radii around the threat's, and last one that no classifier can withstand."""
    largest = LARGEST_EPSILONS[threat.norm]
    radii = [factor * threat.epsilon for factor in _EPSILON_FACTORS]
    return [*(radius for radius in radii if radius < largest), largest]


@dataclass(frozen=True)
class Cooled:
    """Softmax cross-entropy of the logits divided by a constant: what other tools climb.

    Attributes:
        divisor: The constant.
    """

    divisor: float

    def __call__(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """`(batch,)`."""
        return cross_entropy(labels, logits / self.divisor)


def lasting(plan: Plan) -> dict[str, Attack]:
    """The attacks whose verdicts may be kept, by name: those that depend on this model alone."""
    return {
        f"{group} {value:g}": attack
        for group, attacks in plan.items()
        if group not in _OF_OTHERS
        for value, attack in attacks.items()
    }


def _l2_budget(threat: ThreatModel) -> float:
    return threat.epsilon if threat.norm == "l2" else parse_epsilon(DEFAULT_EPSILONS["l2"], "l2")
