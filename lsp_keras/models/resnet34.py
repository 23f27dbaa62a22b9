"""ResNet-34, for small images and, with another stem, for large ones."""

from typing import Any

import keras

from lsp_keras.models import _basic
from lsp_keras.models.resnet18 import resnet18
from lsp_keras.signatures import takes_arguments_of

__all__ = ["resnet34"]


@takes_arguments_of(resnet18)
def resnet34(**settings: Any) -> keras.Model:
    """ResNet-34; 21,282,122 parameters at width 64 and 10 classes.

    It is ResNet-18 with 3, 4, 6 and 3 blocks in its stages in place of 2 each: the same stems, the
    same settings, the same differences from its references. With ImageNet's stem it has 21,797,672
    parameters for 1,000 classes.

    Returns:
        Model from images `(batch, height, width, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> resnet34(10, width=16).count_params() < 1_400_000
        True

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016, Table 1.
    """
    return _basic.network("resnet34", (3, 4, 6, 3), **settings)
