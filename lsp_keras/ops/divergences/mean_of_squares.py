"""Mean of squared differences."""

import tensorflow as tf

__all__ = ["mean_of_squares"]


def mean_of_squares(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Mean of squared differences.

    Args:
        target: `(batch, m)`.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return tf.reduce_mean(tf.math.squared_difference(target, estimate), axis=1)
