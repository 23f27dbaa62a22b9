"""The scale on which a classifier takes pixels, and how it is found."""

import itertools
import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.classifiers.endings import is_graph
from lsp_keras.types import Floats
from lsp_keras.validation import InputError

UNIT = ((0.0,), (1.0,))
# The layer with which a model that was read starts.
FRONT = "pixel_range"
# As `keras.applications.imagenet_utils.preprocess_input` has it.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class PixelRange:
    """Where a classifier wants the pixels 0 and 1 of our scale.

    Attributes:
        low: What it takes for 0, one number or one for each channel.
        high: What it takes for 1, likewise.
        reversed_channels: Whether it takes blue first; `low` and `high` are in its order.
        source: How it was found, `None` where [0, 1] is only assumed.
    """

    low: tuple[float, ...] = UNIT[0]
    high: tuple[float, ...] = UNIT[1]
    reversed_channels: bool = False
    source: str | None = None

    @property
    def is_unit(self) -> bool:
        """Whether images in [0, 1] need no change."""
        return set(self.low) == {0.0} and set(self.high) == {1.0} and not self.reversed_channels

    @property
    def option(self) -> str:
        """As `--pixel-range` takes it."""
        if self == replace_source(CAFFE, self.source):
            return "caffe"
        pairs = zip(self.low, self.high, strict=True)
        return ";".join(f"{low:.4g},{high:.4g}" for low, high in pairs)

    def __str__(self) -> str:
        pairs = zip(self.low, self.high, strict=True)
        return " ".join(f"[{low:.4g}, {high:.4g}]" for low, high in pairs)

    def apply(self, images: tf.Tensor) -> tf.Tensor:
        """Images in [0, 1] on this scale."""
        if self.is_unit:
            return images
        if self.reversed_channels:
            images = images[..., ::-1]
        low, high = np.array(self.low, np.float32), np.array(self.high, np.float32)
        return images * (high - low) + low

    def front(self, images: Any) -> Any:
        """As `apply`, in layers built into Keras."""
        if self.is_unit:
            return images
        if self.reversed_channels:
            images = keras.ops.flip(images, axis=-1)
        scale = [high - low for low, high in zip(self.low, self.high, strict=True)]
        # A list of one number would be saved as such, and broadcasts all the same.
        layer = keras.layers.Rescaling(
            scale if len(scale) > 1 else scale[0],
            list(self.low) if len(scale) > 1 else self.low[0],
            dtype="float32",
            name=FRONT,
        )
        return layer(images)


def replace_source(pixels: PixelRange, source: str | None) -> PixelRange:
    """The same range, found otherwise."""
    return PixelRange(pixels.low, pixels.high, pixels.reversed_channels, source)


BYTES = PixelRange((0.0,), (255.0,))
SYMMETRIC = PixelRange((-1.0,), (1.0,))
CAFFE = PixelRange(
    tuple(-mean for mean in _CAFFE_MEAN), tuple(255.0 - mean for mean in _CAFFE_MEAN), True
)
TORCH = PixelRange(
    tuple(-mean / std for mean, std in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)),
    tuple((1 - mean) / std for mean, std in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)),
)
_NAMED = {"caffe": CAFFE, "torch": TORCH, "imagenet": TORCH}
# By the names that the models of keras.applications have.
_CONVENTIONS = (
    (r"resnet(50|101|152)|vgg(16|19)", CAFFE),
    (r"resnet(50|101|152)v2|xception|inception_v3|inception_resnet_v2|nasnet.*", SYMMETRIC),
    (r"mobilenet_\d.*|mobilenetv2_\d.*", SYMMETRIC),
    (r"densenet(121|169|201)", TORCH),
)


def parse_pixel_range(text: str) -> PixelRange:
    """A range as `--pixel-range` takes it.

    Args:
        text: Range as typed: `"LOW,HIGH"`, such as `"0,255"`; one pair for each channel with
            semicolons between; `"torch"` or `"caffe"` for the conventions of keras.applications.

    Raises:
        InputError: It is none of these.

    Example:
        >>> str(parse_pixel_range("-1,1"))
        '[-1, 1]'
    """
    source = "given"
    if text in _NAMED:
        return replace_source(_NAMED[text], source)
    try:
        pairs = [tuple(map(float, pair.split(","))) for pair in text.split(";")]
        low, high = zip(*((low, high) for low, high in pairs), strict=True)
    except ValueError as error:
        raise InputError(
            "`pixel_range` must be LOW,HIGH such as 0,255, one such pair for each channel with "
            f"semicolons between, torch or caffe. Received: {text!r}."
        ) from error
    if any(not start < end for start, end in zip(low, high, strict=True)):
        raise InputError(f"`pixel_range` must rise from LOW to HIGH. Received: {text!r}.")
    return PixelRange(low, high, source=source)


def standardized(images: Floats) -> PixelRange:
    """The range of images that are shifted and scaled to mean 0 and deviation 1.

    Args:
        images: Images whose statistics are taken, float32 `(n, height, width, channels)` in [0, 1].
    """
    mean = images.mean(axis=(0, 1, 2), dtype=np.float64)
    std = images.std(axis=(0, 1, 2), dtype=np.float64) + 1e-7
    if np.ptp(mean) < 1e-3 and np.ptp(std) < 1e-3:
        mean, std = mean[:1], std[:1]
    return PixelRange(tuple((-mean / std).tolist()), tuple(((1 - mean) / std).tolist()))


def find_pixel_range(model: keras.Model) -> PixelRange:
    """The range that a model's own first layers, or its name, tell of.

    The layers before the first one with weights shift and scale: the range is the one that they
    bring to the neighborhood of zero with a spread of about one.

    Args:
        model: Functional or sequential model with one input.
    """
    prefix = _prefix(model)
    if FRONT in prefix.names:
        return PixelRange(source=f"its layer {FRONT}")
    if prefix.names:
        found = _from_values(prefix)
        if found is not None:
            return found
    for name in (model.name, *prefix.models):
        for pattern, convention in _CONVENTIONS:
            if re.fullmatch(pattern, name):
                return replace_source(convention, f"keras.applications' convention for {name}")
    return PixelRange()


@dataclass
class _Prefix:
    """What comes before the first layer with weights.

    Attributes:
        parts: Models to call one after the other.
        names: Names of the layers that change values.
        models: Names of the models that lie around that layer.
    """

    parts: list[keras.Model]
    names: list[str]
    models: list[str]

    def at(self, value: float) -> npt.NDArray[np.float64]:
        """What comes out at the middle of an image of one value, for each channel."""
        sizes = [size or 32 for size in self.parts[0].inputs[0].shape[1:]]
        outputs: Any = np.full((1, *sizes), value, np.float32)
        for part in self.parts:
            outputs = part(outputs, training=False)
        array = np.asarray(tf.cast(outputs, tf.float64))
        return array[0, array.shape[1] // 2, array.shape[2] // 2] if array.ndim == 4 else array


def _prefix(model: keras.Model) -> _Prefix:
    graph = keras.Model(model.inputs[0], model.outputs)
    nodes = itertools.chain.from_iterable(graph._nodes_by_depth.values())
    calls = {id(node.operation): node for node in nodes}
    names: list[str] = []
    for operation in graph.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        if not getattr(operation, "weights", None) or _is_preprocessing(operation):
            names.append(operation.name)
            continue
        start = calls[id(operation)].input_tensors[0]
        part = keras.Model(graph.inputs[0], start)
        if not is_graph(operation):
            return _Prefix([part], names, [])
        inner = _prefix(operation)
        return _Prefix([part, *inner.parts], names + inner.names, [operation.name, *inner.models])
    return _Prefix([graph], [], [])


def _is_preprocessing(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Normalization)


def _from_values(prefix: _Prefix) -> PixelRange | None:
    """The candidate range that the layers bring closest to a spread of two around zero."""
    middle = float(np.log(2.0))
    best: tuple[float, PixelRange] | None = None
    zero = prefix.at(0.0)
    slope = prefix.at(1.0) - zero
    if np.allclose(slope, 1.0) and np.allclose(zero, 0.0):
        return None
    for candidate in (PixelRange(), BYTES, SYMMETRIC):
        low, high = zero + slope * candidate.low[0], zero + slope * candidate.high[0]
        spread = float(np.mean(high - low))
        slack = 0.05 * max(abs(spread), 1e-9)
        if spread <= 0.0 or np.max(low) > slack or np.min(high) < -slack:
            continue
        distance = abs(float(np.log(spread)) - middle)
        if best is None or distance < best[0]:
            best = distance, candidate
    if best is None:
        return None
    return replace_source(best[1], f"its first layers, {', '.join(prefix.names)}")
