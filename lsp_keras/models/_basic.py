"""ResNet-14, ResNet-18 and ResNet-34: networks of basic residual blocks."""

from typing import Any

import keras

from lsp_keras.choices import StemName
from lsp_keras.models import _resnet
from lsp_keras.models._resnet import Architecture, Style


def network(
    name: str,
    blocks: tuple[int, ...],
    num_classes: int,
    *,
    activation: str,
    seed: int,
    initialization: str,
    usual_stem: StemName = "small",
    **settings: Any,
) -> keras.Model:
    """The network with so many blocks in each stage.

    Args:
        name: Name of the model.
        blocks: Number of blocks in each stage.
        num_classes: Number of logits.
        activation: Name of a Keras activation.
        seed: Seed of the initial weights.
        initialization: Distribution of the first weights.
        usual_stem: Stem for images below 96 pixels where none is named.
        settings: Further arguments of `_resnet.resnet`.
    """
    return _resnet.resnet(
        Architecture(name, stem_tail, block, _resnet.identity, blocks, usual_stem=usual_stem),
        num_classes,
        style=Style(activation, seed, initialization),
        **settings,
    )


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
