"""ResNet-14: three stages at half the size, robust training on processors in mind."""

from typing import Any

import keras

from lsp_keras.models import _basic
from lsp_keras.models.resnet18 import resnet18
from lsp_keras.signatures import takes_arguments_of

__all__ = ["resnet14"]


@takes_arguments_of(resnet18)
def resnet14(**settings: Any) -> keras.Model:
    """ResNet-14; 2,777,674 parameters at width 64 and 10 classes.

    It is ResNet-18 without its last stage, and below 96 pixels its first convolution has stride 2.
    The whole network so works on a quarter of the positions, and the layers with the most weights
    and the fewest positions are not there: on a processor a step at width 64 costs less than
    ResNet-18's at width 32, with as many weights. With `stem="small"` and `width=16` it is the
    ResNet-14 of the paper's family for CIFAR-10, with convolutions for shortcuts.

    Returns:
        Model from images `(batch, height, width, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> resnet14(10, width=16).count_params() < 180_000
        True

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016, Section 4.2: networks of
        6 n + 2 layers, here with n = 2.

    Differs from the reference:
        Its networks for CIFAR-10 have 16 filters in their first stage, a first convolution with
        stride 1, and shortcuts without parameters.
    """
    return _basic.network("resnet14", (2, 2, 2), usual_stem="half", **settings)
