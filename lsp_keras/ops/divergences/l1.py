"""Sum of absolute differences."""

import tensorflow as tf

from lsp_keras.ops.norms import l1_norm

__all__ = ["l1"]


def l1(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Sum of absolute differences.

    Args:
        target: Shares P of the target, `(batch, m)`.
        estimate: Shares Q of the estimate, `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return l1_norm(target - estimate)
