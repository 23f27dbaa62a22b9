"""Training runs as typed records, read from TOML and carried out."""

from typing import Any

from lsp_keras.recipes._config import FitConfig, read_config
from lsp_keras.recipes._published import (
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
]


def __getattr__(name: str) -> Any:
    # The record and its file format are read without TensorFlow; carrying a run out needs it.
    if name == "fit":
        from lsp_keras.recipes._run import fit

        return fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
