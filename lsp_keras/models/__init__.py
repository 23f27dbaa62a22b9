"""Classifiers: [0, 1] images in, logits out, normalization inside."""

from typing import TYPE_CHECKING

from lsp_keras._face import show

if TYPE_CHECKING:
    from lsp_keras.models.preact_resnet18 import preact_resnet18
    from lsp_keras.models.resnet14 import resnet14
    from lsp_keras.models.resnet18 import resnet18
    from lsp_keras.models.resnet34 import resnet34
    from lsp_keras.models.vit import vit
    from lsp_keras.models.wide_resnet import wide_resnet

__all__ = ["preact_resnet18", "resnet14", "resnet18", "resnet34", "vit", "wide_resnet"]

show(__name__, kind="model")
