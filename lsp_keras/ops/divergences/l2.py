"""Euclidean length of the difference: the un-squared norm."""

import tensorflow as tf

from lsp_keras.ops.norms import l2_norm

__all__ = ["l2"]


def l2(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Euclidean length of the difference; its gradient is zero where the two are equal.

    Args:
        target: Shares P of the target, `(batch, m)`.
        estimate: Shares Q of the estimate, `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return l2_norm(target - estimate)
