"""Mean of squared differences."""

import tensorflow as tf

__all__ = ["mean_of_squares"]


def mean_of_squares(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Mean of squared differences.

    Args:
        target: Shares P of the target, `(batch, m)`.
        estimate: Shares Q of the estimate, `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return tf.reduce_mean(tf.math.squared_difference(target, estimate), axis=1)
