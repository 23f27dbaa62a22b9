"""Named lists of attacks, and attacks from their names."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from lsp_keras import registry
from lsp_keras.attacks import Attack, Cascade
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError, check_choice, listing

SUITES: Mapping[str, Sequence[str]] = {
    "quick": ("fgsm", "pgd"),
    "autoattack": ("autoattack",),
    "black-box": ("noise", "square", "spsa"),
}


def suite_attacks(suite: str, threat: ThreatModel) -> dict[str, Attack]:
    """The attacks of a suite.

    Raises:
        InputError: There is no such suite, or it has no attack for the norm.
    """
    return build_attacks(SUITES[check_choice("suite", suite, SUITES)], threat)


def build_attacks(
    names: Sequence[str],
    threat: ThreatModel,
    options: Mapping[str, Any] | None = None,
    by_attack: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Attack]:
    """One attack for each name; an option goes to all attacks that have it.

    Args:
        names: Names of the attacks in the registry.
        threat: What the attacker may do.
        options: Constructor arguments by name; `None` keeps an attack's own default.
        by_attack: Constructor arguments of single attacks, which `options` override.

    Raises:
        InputError: A name is unknown or repeated, or no attack has one of the options.
    """
    if not names or len(set(names)) < len(names):
        raise InputError(f"Each attack must be named once. Received: {','.join(names)!r}.")
    classes = {name: registry.get("attack", name) for name in names}
    for name, kind in classes.items():
        if threat.norm not in kind.supported_norms:
            raise InputError(
                f"The attack {name} knows {listing(kind.supported_norms)} only. "
                f"Received: norm={threat.norm}."
            )
    accepted = {name: inspect.signature(kind).parameters for name, kind in classes.items()}
    given = {option: value for option, value in (options or {}).items() if value is not None}
    for option in given:
        if not any(option in parameters for parameters in accepted.values()):
            raise InputError(f"None of the attacks {', '.join(names)} has a `{option}`.")
    return {
        name: kind(
            epsilon=threat.epsilon,
            norm=threat.norm,
            **{
                **(by_attack or {}).get(name, {}),
                **{key: value for key, value in given.items() if key in accepted[name]},
            },
        )
        for name, kind in classes.items()
    }


def cascade(attacks: Mapping[str, Attack], threat: ThreatModel) -> dict[str, Attack]:
    """The attacks as one, each on what the ones before it left standing."""
    return {"cascade": Cascade(attacks=attacks, epsilon=threat.epsilon, norm=threat.norm)}
