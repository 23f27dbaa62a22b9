"""Smoothness: the adversarial prediction agrees with the clean one."""

import tensorflow as tf

from lsp_keras.losses._prediction import prediction_cross_entropy

__all__ = ["smoothness"]


def smoothness(clean_logits: tf.Tensor, adversarial_logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the adversarial prediction against the clean one.

    Args:
        clean_logits: Logits of the clean images, float `(batch, classes)`; fixed, no gradient flows
            into them.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.

    References:
        Bui et al., ECCV 2020.
    """
    target = tf.nn.softmax(tf.stop_gradient(tf.cast(clean_logits, tf.float32)))
    return prediction_cross_entropy(target, adversarial_logits)
