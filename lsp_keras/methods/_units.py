"""Attacks and regularizers as plain values, so that a trainer can be saved in safe mode."""

from typing import Any

from lsp_keras import registry
from lsp_keras.validation import InputError


def serialize_unit(kind: str, unit: Any) -> dict[str, Any]:
    """Registered name and constructor arguments of an attack or regularizer.

    Args:
        kind: Kind of the unit, `"attack"` or `"regularizer"`.
        unit: What to describe; it has a `get_config`.

    Raises:
        InputError: It is not one of the registered ones.
    """
    name = registry.name_of(kind, type(unit))
    if name is None:
        raise InputError(
            f"A trainer with an own {kind} ({type(unit).__name__}) cannot be saved. "
            "Save `trainer.classifier`, which holds all weights."
        )
    return {"name": name, "config": unit.get_config()}


def deserialize_unit(kind: str, description: dict[str, Any]) -> Any:
    """The attack or regularizer that `serialize_unit` described."""
    return registry.get(kind, description["name"])(**description["config"])
