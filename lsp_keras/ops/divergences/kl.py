"""Kullback-Leibler divergence."""

import tensorflow as tf

__all__ = ["kl"]

_SMALLEST_PROBABILITY = 1e-7


def kl(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Kullback-Leibler divergence of `estimate` from `target`, in nats.

    Entries of `estimate` below 1e-7 count as 1e-7, without a gradient.

    Args:
        target: Shares P of the target, `(batch, m)`; an entry of zero contributes nothing.
        estimate: Shares Q of the estimate, `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    logarithm = tf.math.log(tf.maximum(estimate, _SMALLEST_PROBABILITY))
    return tf.reduce_sum(tf.math.xlogy(target, target) - target * logarithm, axis=1)
