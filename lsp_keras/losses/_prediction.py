"""How far a prediction is from another one: what several losses measure."""

import tensorflow as tf


def prediction_cross_entropy(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of a prediction against another one.

    Args:
        target: Prediction that is aimed at, float `(batch, classes)`, rows that sum to one.
        logits: Logits, float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.
    """
    return -tf.reduce_sum(target * tf.nn.log_softmax(tf.cast(logits, tf.float32)), axis=1)
