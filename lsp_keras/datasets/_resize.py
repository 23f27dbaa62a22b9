"""Resizing of uint8 images."""

import numpy as np
import tensorflow as tf

from lsp_keras.types import Images


def resize_tensor(images: tf.Tensor, size: int) -> tf.Tensor:
    """Square images by bilinear interpolation, low-pass filtered where they become smaller.

    Args:
        images: uint8 `(..., height, width, channels)`, of one image or a batch.
        size: New height and width.

    Returns:
        uint8 `(..., size, size, channels)`.
    """
    resized = tf.image.resize(images, (size, size), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def resize(images: Images, size: int) -> Images:
    """As `resize_tensor`, from array to array."""
    resized: Images = np.asarray(resize_tensor(tf.constant(images), size))
    return resized
