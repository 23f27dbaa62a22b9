"""Pre-activation ResNet-18 for small images, normalized once more before the pooling."""

from collections.abc import Sequence
from typing import Literal

import keras

from lsp_keras.models import _preact, _resnet
from lsp_keras.models._resnet import Architecture, Style

__all__ = ["preact_resnet18"]


def preact_resnet18(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 64,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    normalize: bool = True,
    initialization: Literal["he_normal", "pytorch"] = "he_normal",
    activation: str = "relu",
    seed: int = 0,
) -> keras.Model:
    """Pre-activation ResNet-18; 11,172,170 parameters at width 64 and 10 classes.

    Stem: one 3x3 convolution with stride 1, also for the 64-pixel images of Tiny-ImageNet, where
    the last stage then works on 8x8 maps. Only layers built into Keras.

    Args:
        num_classes: Number of logits.
        input_shape: Shape of an image, `(height, width, channels)`, both sizes at least 16.
        width: Filters of the first stage; later stages have 2, 4 and 8 times as many.
        mean: Mean of each channel over the training images, on the [0, 1] scale; one number stands
            for all.
        std: Standard deviation of each channel, as `mean`.
        normalize: Whether images are normalized by mean and deviation first.
        initialization: Distribution of the first weights: `"he_normal"`, or `"pytorch"` for the
            uniform one that PyTorch's layers start from.
        activation: Name of a Keras activation.
        seed: Seed of the initial weights.

    Returns:
        Model from images `(batch, height, width, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> preact_resnet18(200, input_shape=(64, 64, 3), width=16).output_shape
        (None, 200)

    References:
        He et al., Identity Mappings in Deep Residual Networks, 2016; small-image version with
        the last normalization: github.com/imrahulr/hat, core/models/ti_preact_resnet.py.
        github.com/kuangliu/pytorch-cifar leaves that normalization out and so counts 1,024
        parameters fewer, 11,171,146.

    Differs from the reference:
        Initial weights and moving variance, as in `lsp_keras.models.resnet18`. Normalization of
        the images is inside.
    """
    return _resnet.resnet(
        Architecture("preact_resnet18", _resnet.identity, _preact.block, _preact.tail),
        num_classes,
        input_shape=input_shape,
        width=width,
        mean=mean,
        std=std,
        normalize=normalize,
        style=Style(activation, seed, initialization),
    )
