"""Images of any size brought to one size: the one resizing of training and serving."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from lsp_keras.types import Images
from lsp_keras.validation import InputError, check_choice, shown

# Models take no smaller images; larger ones would be a slip.
SMALLEST_SIDE, LARGEST_SIDE = 16, 4096
_MOST_DIGITS = 4


def fit_tensor(images: tf.Tensor, size: tuple[int, int], mode: str = "crop") -> tf.Tensor:
    """Images of the wanted size.

    Args:
        images: Image or batch of images, uint8 `(..., height, width, channels)`.
        size: New height and width.
        mode: Way to reach the shape: `"crop"` cuts the largest centered part of that shape out and
            resizes it, `"pad"` resizes the whole and adds black margins, `"stretch"` resizes the
            whole and changes its proportions.

    Returns:
        uint8 `(..., *size, channels)`.

    Raises:
        InputError: There is no such mode.
    """
    check_choice("resize", mode, MODES)
    channels = images.shape[-1]
    shape = tf.shape(images)
    same = tf.reduce_all(shape[-3:-1] == list(size))
    fitted = tf.cond(same, lambda: images, lambda: MODES[mode](images, size))
    return tf.ensure_shape(fitted, [*images.shape[:-3], *size, channels])


def fit_images(images: Images, size: tuple[int, int], mode: str = "crop") -> Images:
    """As `fit_tensor`, from array to array."""
    fitted: Images = np.asarray(fit_tensor(tf.constant(images), size, mode))
    return fitted


def parse_size(text: str | int) -> tuple[int, int]:
    """Height and width of `"48x64"`, `"48"` or 48.

    Raises:
        InputError: The text is neither, or a number is below 16 or above 4096.

    Example:
        >>> parse_size("48x64")
        (48, 64)
    """
    height, separator, width = str(text).lower().partition("x")
    sides = (height, width if separator else height)
    if not all(side.isdecimal() and len(side) <= _MOST_DIGITS for side in sides) or not all(
        SMALLEST_SIDE <= int(side) <= LARGEST_SIDE for side in sides
    ):
        raise InputError(
            "An image size must be HEIGHTxWIDTH or one number for both, "
            f"from {SMALLEST_SIDE} to {LARGEST_SIDE}. Received: {shown(text)}."
        )
    return int(sides[0]), int(sides[1])


def stretch(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Bilinear interpolation, low-pass filtered where images become smaller."""
    resized = tf.image.resize(images, size, antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def crop(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The largest centered part with the wanted proportions, resized."""
    height, width = _sides(images)
    # Whole numbers, so that every machine cuts at the same pixel.
    part_height = tf.minimum(height, tf.maximum(1, _divide(width * size[0], size[1])))
    part_width = tf.minimum(width, tf.maximum(1, _divide(height * size[1], size[0])))
    top, left = (height - part_height) // 2, (width - part_width) // 2
    part = images[..., top : top + part_height, left : left + part_width, :]
    return stretch(part, size)


def pad(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The whole, as large as fits, with black margins."""
    height, width = _sides(images)
    new_height = tf.minimum(size[0], tf.maximum(1, _divide(height * size[1], width)))
    new_width = tf.minimum(size[1], tf.maximum(1, _divide(width * size[0], height)))
    resized = stretch(images, tf.stack([new_height, new_width]))
    top, left = (size[0] - new_height) // 2, (size[1] - new_width) // 2
    return tf.image.pad_to_bounding_box(resized, top, left, *size)


def _sides(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.shape(images)
    return shape[-3], shape[-2]


def _divide(dividend: tf.Tensor, divisor: tf.Tensor) -> tf.Tensor:
    """The quotient, rounded to the nearest whole number."""
    return (2 * dividend + divisor) // (2 * divisor)


MODES: Mapping[str, Callable[[tf.Tensor, tuple[int, int]], tf.Tensor]] = {
    "crop": crop,
    "pad": pad,
    "stretch": stretch,
}
