"""TRADES: cross-entropy of the clean image, and how far its prediction moves under attack."""

import tensorflow as tf

from lsp_keras.losses._terms import trades_terms, trades_weights, weighted_sum

__all__ = ["trades_loss"]


def trades_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    beta: float = 6.0,
) -> tf.Tensor:
    """CE(f(x), y) + beta * KL(f(x) || f(x')); the gradient flows into both logits.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits f(x) of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits f(x') of the adversarial images, float `(batch, classes)`.
        beta: Weight of the divergence, zero or more; 1 / lambda of the paper.

    Returns:
        float32 `(batch,)`, zero or more up to rounding.

    Example:
        >>> even = tf.constant([[0.0, 0.0]])
        >>> round(float(trades_loss(tf.constant([0]), even, even)[0]), 4)
        0.6931

    References:
        Zhang et al., Theoretically Principled Trade-off between Robustness and Accuracy, 2019,
        Eq. 5. The divergence is that of the reference code, `trades.py`.
    """
    terms = trades_terms(labels, clean_logits, adversarial_logits)
    return weighted_sum(terms, trades_weights(beta))
