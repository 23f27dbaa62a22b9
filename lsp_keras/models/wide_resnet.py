"""Wide residual networks, WRN-28-10 and others."""

from collections.abc import Sequence
from typing import Literal

import keras

from lsp_keras.models import _preact, _resnet
from lsp_keras.models._resnet import Architecture, Style
from lsp_keras.validation import InputError

__all__ = ["wide_resnet"]

_STEM_WIDTH = 16
_STAGES = 3
_LAYERS_BESIDE_BLOCKS = 4
_LAYERS_IN_BLOCKS = 6


def wide_resnet(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 160,
    depth: int = 28,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    normalize: bool = True,
    initialization: Literal["he_normal", "pytorch"] = "he_normal",
    activation: str = "relu",
    seed: int = 0,
) -> keras.Model:
    """Wide ResNet; WRN-28-10, the default, has 36,479,194 parameters for 10 classes.

    WRN-34-10, `depth=34`, has 46,160,474; WRN-16-4, `depth=16, width=64`, has 2,748,890. Only
    layers built into Keras.

    Args:
        num_classes: Number of logits.
        input_shape: Shape of an image, `(height, width, channels)`, both sizes at least 16.
        width: Filters of the first stage, 16 times the widening factor; later stages have 2 and
            4 times as many.
        depth: Number of layers: 6 n + 4 for n blocks in each of the three stages.
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
        >>> wide_resnet(10, depth=10, width=32).output_shape
        (None, 10)

    References:
        Zagoruyko and Komodakis, Wide Residual Networks, 2016; github.com/yaodongyu/TRADES,
        models/wideresnet.py.

    Differs from the reference:
        Initial weights and moving variance, as in `lsp_keras.models.resnet18`. No dropout.
    """
    blocks, rest = divmod(depth - _LAYERS_BESIDE_BLOCKS, _LAYERS_IN_BLOCKS)
    if rest or blocks < 1:
        raise InputError(
            f"`depth` must be 6 n + 4, such as 10, 16, 22, 28 or 34. Received: depth={depth}."
        )
    return _resnet.resnet(
        Architecture(
            "wide_resnet",
            _resnet.identity,
            _preact.block,
            _preact.tail,
            (blocks,) * _STAGES,
            _STEM_WIDTH,
        ),
        num_classes,
        input_shape=input_shape,
        width=width,
        mean=mean,
        std=std,
        normalize=normalize,
        style=Style(activation, seed, initialization),
    )
