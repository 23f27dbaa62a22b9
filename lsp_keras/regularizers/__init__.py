"""Terms that any training method can add to its loss."""

from lsp_keras.regularizers._base import Anchor, Batch, Regularizer, Step
from lsp_keras.regularizers.lsp import LSP

__all__ = ["LSP", "Anchor", "Batch", "Regularizer", "Step"]
