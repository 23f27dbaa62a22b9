"""What `lsp-keras attack` is asked to run: attacks by the ball that they keep to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.attacks import Attack
    from lsp_keras.types import ThreatModel

# The names of `lsp_keras.evaluation.SUITES`, which `--help` must not wait for.
ONE_BALL = ("quick", "autoattack", "black-box")
# Those that state their balls and settings themselves: a run's own, and each by its name.
PAPER = "paper"
STATED = (PAPER, "lsp-standard", "lsp-adversarial")
SUITES = (*ONE_BALL, *STATED)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        label: Part of the records' names.
        groups: Attacks of each ball, by the names of their records.
    """

    label: str
    groups: Mapping["ThreatModel", Mapping[str, "Attack"]]

    @property
    def attacks(self) -> dict[str, "Attack"]:
        """All attacks."""
        return {name: attack for group in self.groups.values() for name, attack in group.items()}


def make_plan(
    model: Path | None,
    suite: str,
    names: str | None,
    *,
    epsilon: str | None,
    norm: str | None,
    cascade: bool,
    settings: Mapping[str, Any],
    by_attack: Mapping[str, Mapping[str, Any]],
) -> Plan:
    """The attacks that the options of the command name.

    Args:
        model: Run or model, whose recipe may state the evaluation.
        suite: Name of a suite.
        names: Names of attacks instead, with commas between.
        epsilon: Radius, or `None` for the norm's default.
        norm: Norm of the ball, or `None` for `"linf"`.
        cascade: Whether each attack runs on what the ones before left.
        settings: Constructor arguments, `None` where none is given.
        by_attack: Constructor arguments of single attacks.

    Raises:
        InputError: Something is unknown, or contradicts what a suite states.
    """
    from lsp_keras import evaluation
    from lsp_keras.types import DEFAULT_EPSILONS, ThreatModel

    if names is None and suite in STATED:
        given = {
            "epsilon": epsilon,
            "norm": norm,
            **settings,
            "settings": by_attack or None,
            "cascade": cascade or None,
        }
        return _stated(model, suite, [name for name, value in given.items() if value is not None])
    norm = norm or "linf"
    threat = ThreatModel.parse(epsilon or DEFAULT_EPSILONS[norm], norm)
    chosen = names.split(",") if names is not None else evaluation.SUITES[suite]
    attacks = evaluation.build_attacks(
        [name.strip() for name in chosen], threat, settings, by_attack
    )
    if cascade:
        attacks = evaluation.cascade(attacks, threat)
    return Plan("-".join(attacks) if names is not None else suite, {threat: attacks})


def _stated(model: Path | None, suite: str, given: list[str]) -> Plan:
    from lsp_keras.runs.settings.protocol import attacks_by_threat, find_protocol, protocol_of

    if given:
        raise InputError(
            f"The suite {suite} states its attacks, their balls and their settings. Leave out "
            f"{', '.join(given)}, or name --attacks."
        )
    own = suite == PAPER
    columns = protocol_of(_run_of(model)) if own else find_protocol(suite.replace("-", "_"))
    return Plan(suite, attacks_by_threat(columns))


def _run_of(model: Path | None) -> Path | None:
    """The folder of the run that a model belongs to."""
    if model is None:
        return None
    folders = (model, model.parent)
    return next((folder for folder in folders if (folder / "config.toml").is_file()), None)
