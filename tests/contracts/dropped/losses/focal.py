"""Cross-entropy that counts what is right already for less."""

import tensorflow as tf

__all__ = ["focal_loss"]


def focal_loss(labels: tf.Tensor, logits: tf.Tensor, *, focus: float = 2.0) -> tf.Tensor:
    """(1 - p_y)^focus times the cross-entropy.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits, float `(batch, classes)`.
        focus: Exponent, zero or more.

    References:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, Eq. 4.
    """
    logarithms = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    own = tf.gather(logarithms, tf.cast(labels, tf.int64), axis=1, batch_dims=1)
    return -((1.0 - tf.exp(own) + 1e-7) ** focus) * own
