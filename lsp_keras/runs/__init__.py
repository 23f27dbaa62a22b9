"""Training runs as typed records, read from TOML and carried out."""

from typing import TYPE_CHECKING

from lsp_keras._face import show

# The record and its file format are read without TensorFlow; carrying a run out needs it.
if TYPE_CHECKING:
    from lsp_keras.runs.export import Exported, export_run
    from lsp_keras.runs.fit import FitResult, fit
    from lsp_keras.runs.settings.config import FitConfig, read_config
    from lsp_keras.runs.settings.published import (
        NOTES,
        Expected,
        expected_accuracies,
        find_recipe,
        recipe_summary,
    )
    from lsp_keras.runs.subjects.local_structure import structure_of

__all__ = [
    "NOTES",
    "Expected",
    "Exported",
    "FitConfig",
    "FitResult",
    "expected_accuracies",
    "export_run",
    "find_recipe",
    "fit",
    "read_config",
    "recipe_summary",
    "structure_of",
]

show(__name__)
