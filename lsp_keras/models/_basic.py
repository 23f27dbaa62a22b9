"""The basic residual block of ResNet-18 and ResNet-34."""

from typing import Any

import keras

from lsp_keras.models import _resnet
from lsp_keras.models._resnet import Style


def stem_tail(inputs: Any, style: Style) -> Any:
    """Normalization and activation after the first convolution."""
    outputs = _resnet.batch_norm(inputs, "stem_bn")
    return _resnet.activate(outputs, "stem_activation", style)


def block(inputs: Any, filters: int, stride: int, name: str, style: Style) -> Any:
    """Two 3x3 convolutions, each normalized, beside the inputs or a 1x1 convolution of them."""
    outputs = _resnet.conv(inputs, filters, 3, stride, f"{name}_conv1", style)
    outputs = _resnet.batch_norm(outputs, f"{name}_bn1")
    outputs = _resnet.activate(outputs, f"{name}_activation1", style)
    outputs = _resnet.conv(outputs, filters, 3, 1, f"{name}_conv2", style)
    outputs = _resnet.batch_norm(outputs, f"{name}_bn2")
    shortcut = inputs
    if stride > 1 or inputs.shape[-1] != filters:
        shortcut = _resnet.conv(inputs, filters, 1, stride, f"{name}_shortcut_conv", style)
        shortcut = _resnet.batch_norm(shortcut, f"{name}_shortcut_bn")
    outputs = keras.layers.Add(name=f"{name}_add")([outputs, shortcut])
    return _resnet.activate(outputs, f"{name}_activation2", style)
