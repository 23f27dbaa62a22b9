"""What is compiled of an attack for one model and one image shape."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from lsp_keras.types import Floats, Integers

# A Keras model is one too; it is then called in inference mode.
LogitsFn: TypeAlias = Callable[..., tf.Tensor]


class Program:
    """The model and the attack on it as graphs that accept any number of images.

    Args:
        perturb: `Attack.perturb`.
        logits_fn: A Keras model, called with `training=False`, or images -> logits.
        image_shape: `(height, width, channels)`.
    """

    def __init__(
        self, perturb: Callable[..., tf.Tensor], logits_fn: LogitsFn, image_shape: tuple[int, ...]
    ) -> None:
        self._perturb_fn = perturb
        self._logits_fn = logits_fn
        self._images = tf.TensorSpec([None, *image_shape], tf.float32)

    def predict(self, images: Floats) -> Any:
        """Logits `(batch, classes)`."""
        return self._predict(tf.constant(images)).numpy()

    def perturb(self, images: Floats, labels: Integers, seed: int, indices: Integers) -> Any:
        """Adversarial images, projected to ball and box."""
        return self._perturb(
            tf.constant(images),
            tf.constant(labels),
            tf.constant(seed, tf.int64),
            tf.constant(indices),
        ).numpy()

    @cached_property
    def _predict(self) -> Any:
        # A concrete function cannot retrace, whatever it is called with.
        function = tf.function(inference_logits(self._logits_fn), autograph=False)
        return function.get_concrete_function(self._images)

    @cached_property
    def _perturb(self) -> Any:
        @tf.function(autograph=False)
        def perturb(images: Any, labels: Any, seed: Any, indices: Any) -> Any:
            return self._perturb_fn(self._logits_fn, images, labels, seed=seed, indices=indices)

        integers = tf.TensorSpec([None], tf.int64)
        seed = tf.TensorSpec([], tf.int64)
        return perturb.get_concrete_function(self._images, integers, seed, integers)


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
