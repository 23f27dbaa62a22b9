"""The evaluation that a recipe states: which attacks, in which balls, with which settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_keras.validation import InputError, check_choice

if TYPE_CHECKING:
    from lsp_keras.attacks import Attack
    from lsp_keras.types import ThreatModel

_FOLDER = Path(__file__).parents[2] / "recipes" / "evaluations"


@dataclass(frozen=True)
class Column:
    """One column of a published table.

    Attributes:
        name: Name of the column.
        attack: Name of the attack in the registry.
        threat: What the attacker may do.
        options: The attack's own settings.
    """

    name: str
    attack: str
    threat: "ThreatModel"
    options: Mapping[str, Any]

    def build(self) -> "Attack":
        """The attack.

        Raises:
            InputError: It is unknown, does not know the norm, or has none of such settings.
        """
        from lsp_keras.evaluation import build_attacks

        return build_attacks([self.attack], self.threat, self.options)[self.attack]


def protocols() -> list[str]:
    """Names of all evaluations that recipes can state, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def find_protocol(name: str) -> tuple[Column, ...]:
    """The columns of an evaluation.

    Raises:
        InputError: There is no such evaluation.
    """
    from lsp_keras.runs.settings.toml_file import read_config

    check_choice("evaluation", name, protocols())
    sections = read_config(_FOLDER / f"{name}.toml")
    return tuple(column_of(column, dict(section)) for column, section in sections.items())


def protocol_of(run: Path | None) -> tuple[Column, ...]:
    """The evaluation that a run's recipe stated.

    Args:
        run: Folder of the run; `None` for a model outside of one.

    Raises:
        InputError: Nothing is stated.
    """
    from lsp_keras.runs.settings.toml_file import read_config

    settings = {} if run is None else read_config(run / "config.toml")
    name = settings.get("evaluation")
    if name is None:
        raise InputError(
            "The paper attacks its networks in two ways, and this model does not say which is "
            f"its own. Choose --suite {' or --suite '.join(map(option, protocols()))}, or train "
            "from a recipe of the paper, which states it."
        )
    return find_protocol(str(name))


def option(name: str) -> str:
    """The name as the command line writes it."""
    return name.replace("_", "-")


def attacks_by_threat(columns: tuple[Column, ...]) -> "dict[ThreatModel, dict[str, Attack]]":
    """The attacks of each ball, by the names of their columns: one evaluation for each."""
    groups: dict[ThreatModel, dict[str, Attack]] = {}
    for column in columns:
        groups.setdefault(column.threat, {})[column.name] = column.build()
    return groups


def column_of(name: str, section: dict[str, Any]) -> Column:
    """A column from a section of a file: attack, ball, and the attack's own settings.

    Raises:
        InputError: The section names no attack or no radius.
    """
    from lsp_keras.types import ThreatModel

    missing = [key for key in ("attack", "epsilon") if key not in section]
    if missing:
        raise InputError(f"The column {name!r} must have `{missing[0]}`.")
    attack, epsilon = section.pop("attack"), section.pop("epsilon")
    return Column(name, attack, ThreatModel.parse(epsilon, section.pop("norm", "linf")), section)
