"""Pure formulas that return one value per example."""

from lsp_keras._face import show
from lsp_keras.losses.flatness import flatness_loss
from lsp_keras.losses.global_compactness import global_compactness
from lsp_keras.losses.hat import hat_loss
from lsp_keras.losses.local_compactness import local_compactness
from lsp_keras.losses.lsp import lsp_loss
from lsp_keras.losses.mart import mart_loss
from lsp_keras.losses.nuat import nuat_loss
from lsp_keras.losses.trades import trades_loss

__all__ = [
    "flatness_loss",
    "global_compactness",
    "hat_loss",
    "local_compactness",
    "lsp_loss",
    "mart_loss",
    "nuat_loss",
    "trades_loss",
]

show(__name__, kind="loss")
