"""MoCo v2: an encoder trained without labels, to find neighbors with."""

from lsp_keras.pretraining.moco import MoCoTrainer
from lsp_keras.pretraining.pretrain import (
    PUBLISHED_EPOCHS,
    PretrainSettings,
    encoder_folder,
    find_or_pretrain,
    pretrain,
    usual_epochs,
)

__all__ = [
    "PUBLISHED_EPOCHS",
    "MoCoTrainer",
    "PretrainSettings",
    "encoder_folder",
    "find_or_pretrain",
    "pretrain",
    "usual_epochs",
]
