"""One convolution and a pooling."""

from collections.abc import Sequence

import keras

from lsp_keras.models import _resnet
from lsp_keras.models._resnet import Style

__all__ = ["one_convolution"]


def one_convolution(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 16,
    kernel_size: int = 3,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    seed: int = 0,
) -> keras.Model:
    """The smallest network.

    Args:
        num_classes: Number of logits.
        input_shape: Shape of an image, `(height, width, channels)`.
        width: Filters of the convolution.
        kernel_size: Side of the convolution's kernel in pixels.
        mean: Mean of each channel.
        std: Deviation of each channel.
        seed: Seed of the initial weights.
    """
    style = Style("relu", seed)
    mean, std = _resnet.check_arguments(num_classes, input_shape, width, mean, std)
    images = keras.Input(input_shape, name="images")
    outputs = _resnet.normalized(images, mean, std)
    outputs = _resnet.conv(outputs, width, kernel_size, 2, "stem_conv", style)
    outputs = _resnet.activate(_resnet.batch_norm(outputs, "stem_bn"), "stem_activation", style)
    logits = _resnet.classify(outputs, num_classes, style)
    return keras.Model(images, logits, name="one_convolution")
