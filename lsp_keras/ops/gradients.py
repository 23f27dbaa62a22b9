"""Gradients with respect to images, always taken in a graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsp_keras.ops.norms import unit_largest


def image_gradient(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], images: tf.Tensor
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """What a function makes of images, and the gradient of the first of its results.

    An eager gradient of a convolution computes that of its filter too, which nobody asked for;
    TensorFlow 2.20 crashes in some of these (oneDNN, a 1x1 filter, stride 2, an odd batch). A
    graph computes what is used and no more.

    Args:
        function: Function that maps images to tensors, the value to differentiate first,
            `(batch,)`.
        images: Images, `(batch, height, width, channels)`.

    Returns:
        The function's results, and a gradient shaped like the images: zero where the value does
        not depend on them.
    """

    def differentiate() -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            results = function(images)
        gradient = tape.gradient(results[0], images, unconnected_gradients="zero")
        return tuple(results), gradient

    if tf.inside_function():
        return differentiate()
    return tf.function(differentiate, autograph=False).get_concrete_function()()


def with_unit_gradient(
    logits_fn: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The same function, with each image's gradient divided by its largest absolute entry.

    Neither its direction nor its signs change. What reads it, such as CleverHans with its floor
    of 1e-12 under squared norms, then sees gradients of one size, however flat the model is.
    """

    @tf.custom_gradient
    def watched(images: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.identity(images), unit_largest

    def function(images: tf.Tensor) -> tf.Tensor:
        return logits_fn(watched(images))

    return function
