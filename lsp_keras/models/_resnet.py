"""Blocks of the residual networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import keras

from lsp_keras.choices import StemName
from lsp_keras.ops.resizing import SMALLEST_SIDE
from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError, check_choice, check_positive

BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5
STAGE_STRIDES = (1, 2, 2, 2)
# From this size on, a stem that keeps it costs 15 times what ImageNet's does.
LARGE_SIZE = 96
STEMS = get_args(StemName)
# Size and stride of each stem's convolution.
_FIRST_CONVOLUTIONS = {"small": (3, 1), "half": (3, 2), "imagenet": (7, 2)}
INITIALIZATIONS = ("he_normal", "pytorch")


@dataclass(frozen=True)
class Style:
    """What every layer of one network shares.

    Attributes:
        activation: Name of a Keras activation.
        seed: Seed of the initial weights; each layer draws from the seed and its own name.
        initialization: How weights start. `"he_normal"`: convolutions from a truncated normal
            distribution of variance 2 / fan-in, the last bias at zero. `"pytorch"`: all of them,
            the last bias included, uniform with variance 1 / (3 fan-in).
    """

    activation: str
    seed: int
    initialization: str = "he_normal"

    def __post_init__(self) -> None:
        check_choice("initialization", self.initialization, INITIALIZATIONS)

    def kernel(self, name: str) -> Any:
        """Initializer of a convolution's weights."""
        if self.initialization == "pytorch":
            return self._uniform(name)
        return keras.initializers.HeNormal(seed=self.layer_seed(name))

    def last_kernel(self, name: str) -> Any:
        """Initializer of the last layer's weights, which is PyTorch's either way."""
        return self._uniform(name)

    def last_bias(self, name: str, fan_in: int) -> Any:
        """Initializer of the last layer's bias."""
        if self.initialization != "pytorch":
            return "zeros"
        bound = fan_in**-0.5
        return keras.initializers.RandomUniform(-bound, bound, seed=self.layer_seed(f"{name}_bias"))

    def _uniform(self, name: str) -> Any:
        seed = self.layer_seed(name)
        return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)

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
        blocks: Number of residual blocks in each stage.
        stem_width: Filters of the first convolution; `None` for those of the first stage.
        usual_stem: Stem for images below 96 pixels where none is named.
    """

    name: str
    head: Callable[[Any, Style], Any]
    block: Callable[[Any, int, int, str, Style], Any]
    tail: Callable[[Any, Style], Any]
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    stem_width: int | None = None
    usual_stem: StemName = "small"


def resnet(
    architecture: Architecture,
    num_classes: int,
    *,
    input_shape: tuple[int, int, int],
    width: int,
    mean: Sequence[float],
    std: Sequence[float],
    style: Style,
    stem: StemName = "small",
    normalize: bool = True,
) -> keras.Model:
    """Joins normalization, stem, stages of blocks, tail, pooling and classifier.

    Args:
        architecture: Head, block and tail.
        num_classes: Number of logits.
        input_shape: Shape of an image, `(height, width, channels)`, both sizes at least 16.
        width: Filters of the first stage; each later stage doubles them.
        mean: Mean of each channel, on the [0, 1] scale; one number stands for all.
        std: Standard deviation of each channel, as `mean`.
        style: Activation and seed.
        stem: First layers: `"small"`, a 3x3 convolution with stride 1; `"half"`, one with stride 2;
            `"imagenet"`, a 7x7 one with stride 2 and max-pooling; `"auto"`, the last where both
            sizes are 96 or more, and else the architecture's usual one.
        normalize: Whether images are normalized by `mean` and `std` first.

    Returns:
        Model from images `(batch, height, width, channels)` in [0, 1] to float32 logits
        `(batch, num_classes)`.

    Raises:
        InputError: A value is out of its range; the message names it.
    """
    mean, std = check_arguments(num_classes, input_shape, width, mean, std)
    check_choice("stem", stem, STEMS)
    if stem == "auto":
        is_large = min(input_shape[:2]) >= LARGE_SIZE
        stem = "imagenet" if is_large else architecture.usual_stem
    images = keras.Input(input_shape, name="images")
    size, stride = _FIRST_CONVOLUTIONS[stem]
    filters = architecture.stem_width or width
    inputs = normalized(images, mean, std) if normalize else images
    outputs = conv(inputs, filters, size, stride, "stem_conv", style)
    outputs = architecture.head(outputs, style)
    if stem == "imagenet":
        outputs = keras.layers.ZeroPadding2D(1, name="stem_pool_padding")(outputs)
        outputs = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(outputs)
    for stage, (stride, count) in enumerate(zip(STAGE_STRIDES, architecture.blocks, strict=False)):
        for index in range(count):
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
    return logits(features, num_classes, style)


def logits(features: Any, num_classes: int, style: Style) -> Any:
    """The last layer, float32."""
    return keras.layers.Dense(
        num_classes,
        dtype="float32",
        kernel_initializer=style.last_kernel("logits"),
        bias_initializer=style.last_bias("logits", features.shape[-1]),
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
        kernel_initializer=style.kernel(name),
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


def check_arguments(
    num_classes: int,
    input_shape: tuple[int, int, int],
    width: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel.

    Raises:
        InputError: A value is out of its range; the message names it.
    """
    check_positive("num_classes", num_classes)
    check_positive("width", width)
    height, breadth, channels = input_shape
    if min(height, breadth) < SMALLEST_SIDE:
        raise InputError(
            f"`input_shape` must be {SMALLEST_SIDE} pixels or more in height and width. "
            f"Received: input_shape={tuple(input_shape)}. Resize the images first."
        )
    mean = list(mean) * channels if len(mean) == 1 else list(mean)
    std = list(std) * channels if len(std) == 1 else list(std)
    if len(mean) != channels or len(std) != channels:
        raise InputError(
            f"`mean` and `std` must hold one value for each of the {channels} channels. "
            f"Received: mean={tuple(mean)}, std={tuple(std)}."
        )
    for value in std:
        check_positive("std", value)
    return mean, std
