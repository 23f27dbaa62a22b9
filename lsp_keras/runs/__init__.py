"""Training runs as typed records, read from TOML and carried out."""

from importlib import import_module
from typing import Any

from lsp_keras.runs.config import FitConfig, read_config
from lsp_keras.runs.published import (
    NOTES,
    Expected,
    expected_accuracies,
    find_recipe,
    recipe_summary,
)

__all__ = [
    "NOTES",
    "Expected",
    "FitConfig",
    "expected_accuracies",
    "find_recipe",
    "fit",
    "read_config",
    "recipe_summary",
    "structure_of",
]

# The record and its file format are read without TensorFlow; carrying a run out needs it.
_HEAVY = {"fit": "_run", "structure_of": "_structure"}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
