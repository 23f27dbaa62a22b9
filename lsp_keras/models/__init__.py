"""Classifiers: [0, 1] images in, logits out, normalization inside."""

from lsp_keras.models.preact_resnet18 import preact_resnet18
from lsp_keras.models.resnet18 import resnet18

__all__ = ["preact_resnet18", "resnet18"]
