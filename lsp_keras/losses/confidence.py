"""Confidence: the adversarial prediction is certain."""

import tensorflow as tf

from lsp_keras.losses._prediction import prediction_cross_entropy

__all__ = ["confidence"]


def confidence(adversarial_logits: tf.Tensor) -> tf.Tensor:
    """Entropy of the adversarial prediction, in nats; the gradient flows through both factors.

    Args:
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.

    References:
        Bui et al., ECCV 2020.
    """
    prediction = tf.nn.softmax(tf.cast(adversarial_logits, tf.float32))
    return prediction_cross_entropy(prediction, adversarial_logits)
