"""Views of MoCo v2 on small images: resized crop, flip, color jitter, gray."""

import math
from typing import NamedTuple

import tensorflow as tf

from lsp_keras.augmentations._base import Augmentation
from lsp_keras.ops import random

_GRAY = (0.299, 0.587, 0.114)
_CROP_ATTEMPTS = 10
_CROP_VALUES, _COLOR_VALUES = 4, 7


class ViewDraws(NamedTuple):
    """What one view is made of.

    Attributes:
        boxes: Boxes that are cut out, float32 `(batch, 4)`: top, left, bottom and right as
            fractions of the image.
        flip: Whether each image is mirrored, bool `(batch,)`.
        brightness: Factor of the brightness, float32 `(batch,)`; 1 where the colors are not
            jittered.
        contrast: Factor of the contrast, float32 `(batch,)`.
        saturation: Factor of the saturation, float32 `(batch,)`.
        hue: Turn of the color circle, float32 `(batch,)` in [-0.5, 0.5]; 0 where the colors are not
            jittered.
        gray: Whether each view becomes gray, bool `(batch,)`.
    """

    boxes: tf.Tensor
    flip: tf.Tensor
    brightness: tf.Tensor
    contrast: tf.Tensor
    saturation: tf.Tensor
    hue: tf.Tensor
    gray: tf.Tensor


class MoCoView(Augmentation):
    """One random view of each image; MoCo contrasts two of them.

    Args:
        flip: Whether views may be mirrored; not for digits or letters.
        min_area: Smallest share of the image's area that a crop covers.
        jitter: Strengths of brightness, contrast, saturation (factors in 1 +- strength) and hue
            (turns of the color circle in +- strength).
        jitter_probability: Share of views whose colors are jittered.
        gray_probability: Share of views without color.

    References:
        The CIFAR notebook of github.com/facebookresearch/moco.

    Differs from the reference:
        The four jitters are applied in one order, where torchvision draws an order for each
        image; hue turns the chrominance plane (YIQ) instead of HSV's circle; resizing is
        bilinear; a crop covers 20 % of the image or more, as MoCo v2's on ImageNet, where the
        notebook's begin at 8 %. Images that have not three channels keep their colors.
    """

    def __init__(
        self,
        *,
        flip: bool = True,
        min_area: float = 0.2,
        jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1),
        jitter_probability: float = 0.8,
        gray_probability: float = 0.2,
    ) -> None:
        self.flip = flip
        self.min_area = min_area
        self.jitter = jitter
        self.jitter_probability = jitter_probability
        self.gray_probability = gray_probability

    def draw(
        self, images: tf.Tensor, *, seed: int, indices: tf.Tensor, counter: int | tf.Tensor = 0
    ) -> ViewDraws:
        shape = (_CROP_ATTEMPTS * _CROP_VALUES + _COLOR_VALUES,)
        values = random.uniform(seed, indices, shape, counter=counter)
        crops = tf.reshape(values[:, :-_COLOR_VALUES], [-1, _CROP_ATTEMPTS, _CROP_VALUES])
        color = tf.unstack(values[:, -_COLOR_VALUES:], axis=1)
        jittered = color[0] < self.jitter_probability
        factors = [
            tf.where(jittered, 1.0 + strength * (2.0 * value - 1.0), 1.0)
            for strength, value in zip(self.jitter[:3], color[1:4], strict=True)
        ]
        return ViewDraws(
            boxes=_first_fitting_boxes(crops, self.min_area),
            flip=color[5] < (0.5 if self.flip else 0.0),
            brightness=factors[0],
            contrast=factors[1],
            saturation=factors[2],
            hue=tf.where(jittered, self.jitter[3] * (2.0 * color[4] - 1.0), 0.0),
            gray=color[6] < self.gray_probability,
        )

    def apply(self, images: tf.Tensor, draws: ViewDraws) -> tf.Tensor:
        views = _crop_and_flip(images, draws)
        if images.shape[-1] == 3:
            views = _jitter_colors(views, draws)
            views = tf.where(_per_image(draws.gray), _luminance(views), views)
        return tf.ensure_shape(tf.clip_by_value(views, 0.0, 1.0), images.shape)


def _first_fitting_boxes(values: tf.Tensor, min_area: float) -> tf.Tensor:
    """The first attempt whose box fits in the image; the whole image where none does.

    Args:
        values: Random numbers, float32 `(batch, attempts, 4)`, uniform in [0, 1).
        min_area: Smallest area; the largest is 1. Sides are in a ratio of 3/4 to 4/3.
    """
    area = min_area + (1.0 - min_area) * values[..., 0]
    ratio = tf.exp(math.log(4 / 3) * (2.0 * values[..., 1] - 1.0))
    height, width = tf.sqrt(area / ratio), tf.sqrt(area * ratio)
    top, left = (1.0 - height) * values[..., 2], (1.0 - width) * values[..., 3]
    boxes = tf.stack([top, left, top + height, left + width], axis=-1)
    whole = tf.broadcast_to([0.0, 0.0, 1.0, 1.0], tf.shape(boxes[:, :1]))
    fits = tf.pad((height <= 1.0) & (width <= 1.0), [[0, 0], [0, 1]], constant_values=True)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
    return tf.gather(tf.concat([boxes, whole], axis=1), first, batch_dims=1)


def _crop_and_flip(images: tf.Tensor, draws: ViewDraws) -> tf.Tensor:
    """Bilinear samples of the boxes at the images' own size, mirrored where drawn."""
    size = images.shape[1:3]
    top, left, bottom, right = tf.unstack(draws.boxes, axis=1)
    left, right = tf.where(draws.flip, right, left), tf.where(draws.flip, left, right)
    # The operation's 0 and 1 are the centers of the first and last pixel; beyond them it would
    # paint black.
    edges = [
        tf.clip_by_value((edge * side + inward - 0.5) / (side - 1), 0.0, 1.0)
        for edge, side, inward in (
            (top, size[0], 0.5 * (bottom - top)),
            (left, size[1], 0.5 * (right - left)),
            (bottom, size[0], -0.5 * (bottom - top)),
            (right, size[1], -0.5 * (right - left)),
        )
    ]
    rows = tf.range(tf.shape(images)[0])
    return tf.image.crop_and_resize(images, tf.stack(edges, axis=1), rows, size)


def _jitter_colors(images: tf.Tensor, draws: ViewDraws) -> tf.Tensor:
    images = _blend(tf.zeros_like(images), images, draws.brightness)
    mean = tf.reduce_mean(_luminance(images), axis=(1, 2, 3), keepdims=True)
    images = _blend(mean, images, draws.contrast)
    images = _blend(_luminance(images), images, draws.saturation)
    return tf.clip_by_value(_turn_hue(images, draws.hue), 0.0, 1.0)


def _blend(first: tf.Tensor, second: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """`first` at factor 0, `second` at 1, beyond it at larger ones; kept in [0, 1]."""
    return tf.clip_by_value(first + _per_image(factor) * (second - first), 0.0, 1.0)


def _turn_hue(images: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Turns the chrominance of each image; luminance stays."""
    to_yiq = tf.constant(
        [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]]
    )
    cosine, sine = tf.cos(2 * math.pi * turns), tf.sin(2 * math.pi * turns)
    one, zero = tf.ones_like(cosine), tf.zeros_like(cosine)
    rotation = tf.stack(
        [
            tf.stack([one, zero, zero], axis=1),
            tf.stack([zero, cosine, -sine], axis=1),
            tf.stack([zero, sine, cosine], axis=1),
        ],
        axis=1,
    )
    matrix = tf.linalg.inv(to_yiq) @ rotation @ to_yiq
    return tf.einsum("bhwc,bdc->bhwd", images, matrix)


def _luminance(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(images * tf.constant(_GRAY), axis=-1, keepdims=True)


def _per_image(values: tf.Tensor) -> tf.Tensor:
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
