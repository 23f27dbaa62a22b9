"""MoCo v2: an encoder trained without labels, to find neighbors with."""

from lsp_keras.pretraining.moco import MoCoTrainer
from lsp_keras.pretraining.pretrain import (
    PretrainSettings,
    encoder_folder,
    find_or_pretrain,
    pretrain,
)

__all__ = ["MoCoTrainer", "PretrainSettings", "encoder_folder", "find_or_pretrain", "pretrain"]
