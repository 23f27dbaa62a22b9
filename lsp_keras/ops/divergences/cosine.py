"""One minus the cosine of the angle."""

import tensorflow as tf

from lsp_keras.ops.distances import unit_length

__all__ = ["cosine"]


def cosine(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """One minus the cosine of the angle between the two.

    Args:
        target: Shares P of the target, `(batch, m)`.
        estimate: Shares Q of the estimate, `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return 1.0 - tf.reduce_sum(unit_length(target) * unit_length(estimate), axis=1)
