"""Blocks of the 18-layer residual networks for small images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError, check_positive

BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5
MINIMUM_SIZE = 16
BLOCKS_PER_STAGE = 2
STAGE_STRIDES = (1, 2, 2, 2)


@dataclass(frozen=True)
class Style:
    """What every layer of one network shares.

    Attributes:
        activation: Name of a Keras activation.
        seed: Fixes the initial weights; each layer draws from the seed and its own name.
    """

    activation: str
    seed: int

    def layer_seed(self, name: str) -> int:
        """Seed of the layer of that name, so that no two layers start equal."""
        return int(fingerprint(self.seed, name)[:8], 16)


@dataclass(frozen=True)
class Architecture:
    """What tells one residual network from another.

    Attributes:
        name: Name of the model.
        head: What follows the first convolution.
        block: A residual block: `(inputs, filters, stride, name, style) -> outputs`.
        tail: What precedes the global pooling.
    """

    name: str
    head: Callable[[Any, Style], Any]
    block: Callable[[Any, int, int, str, Style], Any]
    tail: Callable[[Any, Style], Any]


def resnet(
    architecture: Architecture,
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    width: int,
    mean: Sequence[float],
    std: Sequence[float],
    style: Style,
) -> keras.Model:
    """Joins normalization, head, four stages of two blocks, tail, pooling and classifier.

    Args:
        architecture: Head, block and tail.
        num_classes: Number of logits.
        input_shape: `(size, size, channels)`, size at least 16.
        width: Filters of the first stage; each later stage doubles them.
        mean: Of each channel, on the [0, 1] scale.
        std: Likewise.
        style: Activation and seed.

    Returns:
        Model from images `(batch, size, size, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range; the message names it.
    """
    _check(num_classes, input_shape, width, mean, std)
    images = keras.Input(input_shape, name="images")
    outputs = conv(normalized(images, mean, std), width, 3, 1, "stem_conv", style)
    outputs = architecture.head(outputs, style)
    for stage, stride in enumerate(STAGE_STRIDES):
        for index in range(BLOCKS_PER_STAGE):
            block_stride = stride if index == 0 else 1
            block_name = f"stage{stage + 1}_block{index + 1}"
            outputs = architecture.block(outputs, width * 2**stage, block_stride, block_name, style)
    logits = classify(architecture.tail(outputs, style), num_classes, style)
    return keras.Model(images, logits, name=architecture.name)


def identity(inputs: Any, style: Style) -> Any:
    """The inputs: an architecture without that part."""
    return inputs


def normalized(images: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """Images with zero mean and unit deviation per channel, computed in float32."""
    return keras.layers.Normalization(
        mean=list(mean),
        variance=[value**2 for value in std],
        dtype="float32",
        name="normalization",
    )(images)


def classify(inputs: Any, num_classes: int, style: Style) -> Any:
    """Global average `features` and float32 `logits`, also under mixed precision."""
    features = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(inputs)
    return keras.layers.Dense(
        num_classes,
        dtype="float32",
        kernel_initializer=keras.initializers.VarianceScaling(
            1 / 3, "fan_in", "uniform", seed=style.layer_seed("logits")
        ),
        name="logits",
    )(features)


def conv(inputs: Any, filters: int, size: int, stride: int, name: str, style: Style) -> Any:
    """Convolution without bias, padded on all sides alike, as PyTorch does."""
    padding = "same"
    if stride > 1 and size > 1:
        # Keras's "same" pads even images on the right and bottom only when it strides.
        inputs = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_padding")(inputs)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        size,
        stride,
        padding,
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seed=style.layer_seed(name)),
        name=name,
    )(inputs)


def batch_norm(inputs: Any, name: str) -> Any:
    """Batch normalization with PyTorch's settings (its momentum 0.1 is 0.9 in Keras)."""
    return keras.layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=name
    )(inputs)


def activate(inputs: Any, name: str, style: Style) -> Any:
    """The network's activation."""
    return keras.layers.Activation(style.activation, name=name)(inputs)


def _check(
    num_classes: int,
    input_shape: tuple[int, int, int],
    width: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    check_positive("num_classes", num_classes)
    check_positive("width", width)
    height, breadth, channels = input_shape
    if height != breadth or height < MINIMUM_SIZE:
        raise InputError(
            f"`input_shape` must be square, {MINIMUM_SIZE} pixels or more. "
            f"Received: input_shape={tuple(input_shape)}. Resize the images first."
        )
    if len(mean) != channels or len(std) != channels:
        raise InputError(
            f"`mean` and `std` must hold one value for each of the {channels} channels. "
            f"Received: mean={tuple(mean)}, std={tuple(std)}."
        )
    for value in std:
        check_positive("std", value)
