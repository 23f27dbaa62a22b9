"""How a setting is declared: its default, its help, and what its value must be."""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any

from lsp_keras.places import check_local
from lsp_keras.runs.settings.flags import SECTIONS
from lsp_keras.runs.settings.protocol import protocols
from lsp_keras.runs.settings.units import Unit
from lsp_keras.validation import (
    InputError,
    check_choice,
    check_positive,
    parse_epsilon,
    shown,
)

Check = Callable[[str, Any], object]


def setting(default: Any, text: str, check: Check | None = None) -> Any:
    """Field of a record of settings.

    Args:
        default: Default of the setting.
        text: Help, as a sentence.
        check: Function that is called with name and value, unless that is `None`; it raises
            `InputError`.
    """
    return field(default=default, metadata={"help": text, "check": check})


def section(name: str) -> Any:
    """Field of a record that holds a section's unit, by default the one of `SECTIONS`."""

    def build() -> Unit | None:
        unit = SECTIONS[name]
        return None if unit is None else Unit(name, unit)

    return field(default_factory=build)


def check_settings(record: Any, settings: Mapping[str, tuple[Any, Any, str]]) -> None:
    """Raises `InputError` for the first setting of the wrong type or with a wrong value.

    Args:
        record: A dataclass.
        settings: Type, default and help of its fields that are settings.
    """
    for item in fields(record):
        if item.name not in settings:
            continue
        value = getattr(record, item.name)
        check_type(item.name, value, settings[item.name][0])
        if item.metadata["check"] is not None and value is not None:
            item.metadata["check"](item.name, value)


def on_this_machine(name: str, value: str) -> None:
    """A path, and no address in a store."""
    check_local(value)


def zero_or_more(name: str, value: float) -> None:
    """A finite number that is not negative."""
    check_positive(name, value, allow_zero=True)


def share(name: str, value: float) -> None:
    """A number in [0, 1)."""
    if not 0 <= value < 1:
        raise InputError(f"`{name}` must be in [0, 1). Received: {name}={value!r}.")


def seed_number(name: str, value: int) -> None:
    """What NumPy, Keras and TensorFlow all take as a seed."""
    if not 0 <= value < 2**32:
        raise InputError(f"`{name}` must be in [0, 2**32). Received: {name}={shown(value)}.")


def published_evaluation(name: str, value: str) -> None:
    """A file of `recipes/evaluations`."""
    check_choice(name, value, protocols())


def module_and_class(name: str, value: str) -> None:
    """Names of a module and of something in it."""
    module, _, kind = value.partition(":")
    if not (module and kind.isidentifier()):
        raise InputError(
            f"`{name}` must be module:Class, such as mine:Logger. Received: {value!r}."
        )


def radius(name: str, value: str) -> None:
    """An L-inf radius on the [0, 1] scale."""
    parse_epsilon(value)


def one_of(*choices: str) -> Check:
    """One of these."""
    return lambda name, value: check_choice(name, value, choices)


def plain_types(annotation: Any) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The plain types that an annotation allows, `NoneType` among them, and its choices."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = [plain_types(part) for part in typing.get_args(annotation)]
        return tuple(k for kinds, _ in parts for k in kinds), tuple(
            c for _, cs in parts for c in cs
        )
    if typing.get_origin(annotation) is typing.Literal:
        return (str,), typing.get_args(annotation)
    return (annotation,), ()


def check_type(name: str, value: Any, annotation: Any) -> None:
    """An int passes for a float, a bool for nothing but itself.

    Raises:
        InputError: The value is of another type, or none of the choices.
    """
    kinds, choices = plain_types(annotation)
    allowed = (*kinds, int) if float in kinds else kinds
    if type(value) not in allowed:
        expected = " or ".join(kind.__name__ for kind in kinds if kind is not types.NoneType)
        raise InputError(f"`{name}` must be of type {expected}. Received: {value!r}.")
    if choices and value is not None:
        check_choice(name, value, choices)
