"""How a setting is declared: its default, its help, and what its value must be."""

import types
import typing
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any

from lsp_keras import registry
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError, check_choice, check_positive, parse_fraction

Check = Callable[[str, Any], object]


def setting(default: Any, text: str, check: Check | None = None) -> Any:
    """Field of a record of settings.

    Args:
        default: Its value where none is given.
        text: Help, as a sentence.
        check: Called with name and value, unless that is `None`; raises `InputError`.
    """
    return field(default=default, metadata={"help": text, "check": check})


def check_settings(record: Any) -> None:
    """Raises `InputError` for the first setting of the wrong type or with a wrong value."""
    hints = typing.get_type_hints(type(record))
    for item in fields(record):
        value = getattr(record, item.name)
        _check_type(item.name, value, hints[item.name])
        if item.metadata["check"] is not None and value is not None:
            item.metadata["check"](item.name, value)


def zero_or_more(name: str, value: float) -> None:
    """A finite number that is not negative."""
    check_positive(name, value, allow_zero=True)


def share(name: str, value: float) -> None:
    """A number in [0, 1)."""
    if not 0 <= value < 1:
        raise InputError(f"`{name}` must be in [0, 1). Received: {name}={value!r}.")


def positive_fraction(name: str, value: str) -> None:
    """A positive number, also written as a fraction."""
    check_positive(name, parse_fraction(value))


def radius(name: str, value: str) -> None:
    """An L-inf radius on the [0, 1] scale."""
    ThreatModel.parse(value)


def one_of(*choices: str) -> Check:
    """One of these."""
    return lambda name, value: check_choice(name, value, choices)


def registered(kind: str) -> Check:
    """A name that the registry knows."""
    return lambda name, value: registry.check(kind, value)


def _check_type(name: str, value: Any, annotation: Any) -> None:
    """An int passes for a float, a bool for nothing but itself."""
    allowed = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else ()
    allowed = allowed or (annotation,)
    if float in allowed:
        allowed = (*allowed, int)
    if type(value) not in allowed:
        expected = " or ".join(kind.__name__ for kind in allowed if kind is not types.NoneType)
        raise InputError(f"`{name}` must be of type {expected}. Received: {value!r}.")
