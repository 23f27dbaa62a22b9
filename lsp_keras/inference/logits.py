"""A model as a function from images to float32 logits."""

from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf

# A Keras model is one too; it is then called in inference mode.
LogitsFn: TypeAlias = Callable[..., tf.Tensor]


def inference_logits(logits_fn: LogitsFn) -> Callable[[tf.Tensor], tf.Tensor]:
    """The model as a function of images alone: in inference mode, float32 logits."""
    if isinstance(logits_fn, keras.Layer):
        return lambda images: tf.cast(logits_fn(images, training=False), tf.float32)
    return lambda images: tf.cast(logits_fn(images), tf.float32)


def attackable_logits(logits_fn: LogitsFn) -> Callable[[tf.Tensor], tf.Tensor]:
    """As `inference_logits`, with a gradient of zero where the model has none at all.

    TensorFlow gives `None` for a model behind rounding or a lookup; a zero gradient lets
    black-box attacks run on it and is what an evaluation flags.
    """
    logits = inference_logits(logits_fn)

    def connected(images: tf.Tensor) -> tf.Tensor:
        return logits(images) + tf.reduce_sum(0.0 * images, axis=[1, 2, 3])[:, tf.newaxis]

    return connected
