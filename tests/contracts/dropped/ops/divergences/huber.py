"""Squares of small differences, sizes of large ones."""

import tensorflow as tf

__all__ = ["huber"]


def huber(target: tf.Tensor, estimate: tf.Tensor, *, delta: float = 0.1) -> tf.Tensor:
    """Sum of Huber's function of the differences.

    Args:
        target: Shares P of the target, `(batch, m)`.
        estimate: Shares Q of the estimate, `(batch, m)`.
        delta: Difference from which on it is linear.
    """
    sizes = tf.abs(target - estimate)
    near = tf.minimum(sizes, delta)
    return tf.reduce_sum(0.5 * near**2 + delta * (sizes - near), axis=1)
