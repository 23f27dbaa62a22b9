"""Confidence: the adversarial prediction is certain."""

import tensorflow as tf

__all__ = ["confidence", "prediction_cross_entropy"]


def confidence(adversarial_logits: tf.Tensor) -> tf.Tensor:
    """Entropy of the adversarial prediction, in nats; the gradient flows through both factors.

    Args:
        adversarial_logits: float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.

    References:
        Bui et al., ECCV 2020.
    """
    prediction = tf.nn.softmax(tf.cast(adversarial_logits, tf.float32))
    return prediction_cross_entropy(prediction, adversarial_logits)


def prediction_cross_entropy(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of a prediction against another one.

    Args:
        target: float `(batch, classes)`, rows that sum to one.
        logits: float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.
    """
    return -tf.reduce_sum(target * tf.nn.log_softmax(tf.cast(logits, tf.float32)), axis=1)
