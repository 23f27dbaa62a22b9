"""ResNet-18, for small images and, with another stem, for large ones."""

from collections.abc import Sequence
from typing import Literal

import keras

from lsp_keras.choices import StemName
from lsp_keras.models import _basic

__all__ = ["resnet18"]


def resnet18(
    num_classes: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 64,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    normalize: bool = True,
    initialization: Literal["he_normal", "pytorch"] = "he_normal",
    activation: str = "relu",
    stem: StemName = "auto",
    seed: int = 0,
) -> keras.Model:
    """ResNet-18; 11,173,962 parameters at width 64 and 10 classes.

    Below 96 pixels its stem is the one for CIFAR, a 3x3 convolution with stride 1; from there on
    it is ImageNet's, with which it has 11,689,512 parameters for 1,000 classes.

    Only layers built into Keras, so that the saved model loads without this package. The input
    of the last layer, `logits`, is the output of the layer `features`.

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
        activation: Name of a Keras activation, for example `"silu"` where a method needs second
            derivatives.
        stem: Kind of the first layers: `"small"`, a 3x3 convolution with stride 1; `"half"`, one
            with stride 2; `"imagenet"`, a 7x7 one with stride 2 and max-pooling; `"auto"`, the last
            where both sizes are 96 or more, and else the one that the model is described with.
        seed: Seed of the initial weights.

    Returns:
        Model from images `(batch, height, width, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> resnet18(10, width=16).count_params() < 800_000
        True

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016; small-image version:
        github.com/kuangliu/pytorch-cifar, models/resnet.py. With ImageNet's stem:
        github.com/pytorch/vision, torchvision/models/resnet.py.

    Differs from the reference:
        By default convolutions start from Keras's `HeNormal` (truncated normal, variance
        2 / fan-in) where PyTorch's are uniform with variance 1 / (3 fan-in), and the last bias
        starts at zero. The moving variance is the biased one. Normalization of the images is
        inside.
    """
    return _basic.network(
        "resnet18",
        (2, 2, 2, 2),
        num_classes,
        input_shape=input_shape,
        width=width,
        mean=mean,
        std=std,
        normalize=normalize,
        initialization=initialization,
        activation=activation,
        stem=stem,
        seed=seed,
    )
