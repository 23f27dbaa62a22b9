"""ResNet-18 for small images: a 3x3 stem with stride 1 and no max-pooling."""

from collections.abc import Sequence
from typing import Any

import keras

from lsp_keras.models import _resnet
from lsp_keras.models._resnet import Architecture, Style

__all__ = ["resnet18"]


def resnet18(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 64,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    activation: str = "relu",
    seed: int = 0,
) -> keras.Model:
    """ResNet-18 with the CIFAR stem; 11,173,962 parameters at width 64 and 10 classes.

    Only layers built into Keras, so that the saved model loads without this package. The input
    of the last layer, `logits`, is the output of the layer `features`.

    Args:
        num_classes: Number of logits.
        input_shape: `(size, size, channels)`, size at least 16.
        width: Filters of the first stage; later stages have 2, 4 and 8 times as many.
        mean: Of each channel over the training images, on the [0, 1] scale.
        std: Likewise.
        activation: Name of a Keras activation, for example `"silu"` where a method needs second
            derivatives.
        seed: Fixes the initial weights.

    Returns:
        Model from images `(batch, size, size, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> resnet18(10, width=16).count_params() < 800_000
        True

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016; small-image version:
        github.com/kuangliu/pytorch-cifar, models/resnet.py.

    Differs from the reference:
        Convolutions start from Keras's `HeNormal` (truncated normal, variance 2 / fan-in) where
        PyTorch's default is uniform with variance 1 / (3 fan-in); the last bias starts at zero.
        The moving variance is the biased one. Normalization of the images is inside.
    """
    return _resnet.resnet(
        Architecture("resnet18", _stem_tail, _block, _resnet.identity),
        num_classes,
        input_shape=input_shape,
        width=width,
        mean=mean,
        std=std,
        style=Style(activation, seed),
    )


def _stem_tail(inputs: Any, style: Style) -> Any:
    outputs = _resnet.batch_norm(inputs, "stem_bn")
    return _resnet.activate(outputs, "stem_activation", style)


def _block(inputs: Any, filters: int, stride: int, name: str, style: Style) -> Any:
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
