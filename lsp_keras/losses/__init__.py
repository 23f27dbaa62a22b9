"""Pure formulas that return one value per example."""

from typing import TYPE_CHECKING

from lsp_keras._face import show

if TYPE_CHECKING:
    from lsp_keras.losses.confidence import confidence
    from lsp_keras.losses.flatness import flatness_loss
    from lsp_keras.losses.flatness_by_differences import flatness_by_differences
    from lsp_keras.losses.global_compactness import global_compactness
    from lsp_keras.losses.hat import hat_loss
    from lsp_keras.losses.info_nce import info_nce
    from lsp_keras.losses.jensen_shannon import jensen_shannon
    from lsp_keras.losses.local_compactness import local_compactness
    from lsp_keras.losses.lsp import lsp_loss
    from lsp_keras.losses.mart import mart_loss
    from lsp_keras.losses.nuat import nuat_loss
    from lsp_keras.losses.relation import relation_loss
    from lsp_keras.losses.smoothed_cross_entropy import smoothed_cross_entropy
    from lsp_keras.losses.smoothness import smoothness
    from lsp_keras.losses.trades import trades_loss

__all__ = [
    "confidence",
    "flatness_by_differences",
    "flatness_loss",
    "global_compactness",
    "hat_loss",
    "info_nce",
    "jensen_shannon",
    "local_compactness",
    "lsp_loss",
    "mart_loss",
    "nuat_loss",
    "relation_loss",
    "smoothed_cross_entropy",
    "smoothness",
    "trades_loss",
]

show(__name__, kind="loss")
