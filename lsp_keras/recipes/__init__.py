"""Training runs as typed records, read from TOML and carried out."""

from typing import Any

from lsp_keras.recipes._config import FitConfig, find_recipe, read_config, recipe_summary

__all__ = ["FitConfig", "find_recipe", "fit", "read_config", "recipe_summary"]


def __getattr__(name: str) -> Any:
    # The record and its file format are read without TensorFlow; carrying a run out needs it.
    if name == "fit":
        from lsp_keras.recipes._run import fit

        return fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
