"""The pre-activation residual block, of the PreAct-ResNet and the wide ones."""

from typing import Any

import keras

from lsp_keras.models import _resnet
from lsp_keras.models._resnet import Style


def tail(inputs: Any, style: Style) -> Any:
    """Normalization and activation before the pooling."""
    outputs = _resnet.batch_norm(inputs, "last_bn")
    return _resnet.activate(outputs, "last_activation", style)


def block(inputs: Any, filters: int, stride: int, name: str, style: Style) -> Any:
    """Two 3x3 convolutions, each of normalized and activated values, beside a shortcut."""
    outputs = _resnet.batch_norm(inputs, f"{name}_bn1")
    outputs = _resnet.activate(outputs, f"{name}_activation1", style)
    shortcut = inputs
    if stride > 1 or inputs.shape[-1] != filters:
        shortcut = _resnet.conv(outputs, filters, 1, stride, f"{name}_shortcut_conv", style)
    outputs = _resnet.conv(outputs, filters, 3, stride, f"{name}_conv1", style)
    outputs = _resnet.batch_norm(outputs, f"{name}_bn2")
    outputs = _resnet.activate(outputs, f"{name}_activation2", style)
    outputs = _resnet.conv(outputs, filters, 3, 1, f"{name}_conv2", style)
    return keras.layers.Add(name=f"{name}_add")([outputs, shortcut])
