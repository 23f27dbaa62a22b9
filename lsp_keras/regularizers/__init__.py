"""Terms that any training method can add to its loss."""

from lsp_keras._face import show
from lsp_keras.regularizers._base import (
    FEATURES,
    NEIGHBORS,
    Anchor,
    Batch,
    Outputs,
    Regularizer,
    Step,
)
from lsp_keras.regularizers.adr import ADR
from lsp_keras.regularizers.lfr import LFR
from lsp_keras.regularizers.lfrc import LFRC
from lsp_keras.regularizers.lsp import LSP

__all__ = [
    "ADR",
    "FEATURES",
    "LFR",
    "LFRC",
    "LSP",
    "NEIGHBORS",
    "Anchor",
    "Batch",
    "Outputs",
    "Regularizer",
    "Step",
]

show(__name__, kind="regularizer")
