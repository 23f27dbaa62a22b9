"""Adam on a change of variables that keeps images in the pixel box (Carlini and Wagner)."""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from lsp_keras.ops.gradients import image_gradient

_FIRST_DECAY, _SECOND_DECAY, _SMALLEST = 0.9, 0.999, 1e-8

Moments: TypeAlias = tuple[tf.Tensor, tf.Tensor]


def to_images(variables: tf.Tensor) -> tf.Tensor:
    """Images in [0, 1] of unbounded variables."""
    return 0.5 * (_rounded(tf.tanh, variables) + 1.0)


def to_variables(images: tf.Tensor) -> tf.Tensor:
    """Inverse of `to_images`; infinite at 0 and 1, where a pixel then stays."""
    scaled = tf.clip_by_value(2.0 * images - 1.0, -1.0, 1.0)
    return 0.5 * _rounded(tf.math.log, (1.0 + scaled) / (1.0 - scaled))


def _rounded(function: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor) -> tf.Tensor:
    """The function with an error of the last bit only, which TensorFlow's in float32 is not.

    Where the model has no gradient, Adam turns an error of the way there and back into a whole
    step.
    """
    return tf.cast(function(tf.cast(values, tf.float64)), tf.float32)


def zero_moments(variables: tf.Tensor) -> Moments:
    """Both moments before the first step."""
    zeros = tf.zeros_like(variables)
    return zeros, zeros


def adam_step(
    variables: tf.Tensor,
    gradient: tf.Tensor,
    moments: Moments,
    count: tf.Tensor,
    learning_rate: float,
) -> tuple[tf.Tensor, Moments]:
    """Variables and moments after one step down the gradient.

    Args:
        variables: Any shape.
        gradient: Gradient of the cost by the variables, of the same shape.
        moments: Running means after the step before.
        count: Number of steps made before, int scalar.
        learning_rate: Length of a step.

    References:
        Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, Algorithm 1.
    """
    first = _FIRST_DECAY * moments[0] + (1.0 - _FIRST_DECAY) * gradient
    second = _SECOND_DECAY * moments[1] + (1.0 - _SECOND_DECAY) * gradient**2
    times = tf.cast(count + 1, tf.float32)
    mean = first / (1.0 - _FIRST_DECAY**times)
    scale = tf.sqrt(second / (1.0 - _SECOND_DECAY**times)) + _SMALLEST
    return variables - learning_rate * mean / scale, (first, second)


def cost_and_gradient(
    cost_fn: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]], variables: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """What `cost_fn` returns, the cost first, and the cost's gradient at the end."""
    (cost, distance, logits), gradient = image_gradient(cost_fn, variables)
    return cost, distance, logits, gradient
