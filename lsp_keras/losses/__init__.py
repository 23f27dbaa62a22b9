"""Pure formulas that return one value per example."""

from lsp_keras.losses.lsp import lsp_loss

__all__ = ["lsp_loss"]
