"""HAT: TRADES, and a plain model's label for an image beyond the adversarial one."""

import tensorflow as tf

from lsp_keras.losses._terms import hat_terms, hat_weights, weighted_sum

__all__ = ["hat_loss"]


def hat_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    stretched_logits: tf.Tensor,
    helper_labels: tf.Tensor,
    *,
    beta: float = 2.5,
    gamma: float = 0.5,
) -> tf.Tensor:
    """CE(f(x), y) + beta * KL(f(x) || f(x')) + gamma * CE(f(x + h (x' - x)), y_h).

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits f(x) of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits f(x') of the adversarial images, float `(batch, classes)`.
        stretched_logits: Logits f(x + h (x' - x)) of the stretched images, float
            `(batch, classes)`.
        helper_labels: Classes y_h that the helper gives x', int `(batch,)`.
        beta: Weight of the divergence, zero or more.
        gamma: Weight of the helper's labels, zero or more.

    Returns:
        float32 `(batch,)`, zero or more up to rounding.

    Example:
        >>> even, label = tf.constant([[0.0, 0.0]]), tf.constant([0])
        >>> round(float(hat_loss(label, even, even, even, label)[0]), 4)
        1.0397

    References:
        Rade and Moosavi-Dezfooli, Reducing Excessive Margin to Achieve a Better Accuracy vs.
        Robustness Trade-off, ICLR 2022, Algorithm 1; reference code, `core/utils/hat.py`.
    """
    terms = hat_terms(labels, clean_logits, adversarial_logits, stretched_logits, helper_labels)
    return weighted_sum(terms, hat_weights(beta, gamma))
