"""TRADES: cross-entropy of the clean image, and how far its prediction moves under attack."""

import tensorflow as tf

from lsp_keras.losses._terms import Terms, Weights, weighted_sum
from lsp_keras.losses.smoothed_cross_entropy import smoothed_cross_entropy
from lsp_keras.ops.objectives import kl

__all__ = ["trades_loss", "trades_terms", "trades_weights"]


def trades_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    beta: float = 6.0,
) -> tf.Tensor:
    """CE(f(x), y) + beta * KL(f(x) || f(x')); the gradient flows into both logits.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`, f(x).
        adversarial_logits: float `(batch, classes)`, f(x').
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


def trades_terms(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    smoothing: float = 0.0,
) -> Terms:
    """CE(f(x), y) as `cross_entropy` and KL(f(x) || f(x')) as `kl`, float32 `(batch,)`.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`.
        adversarial_logits: float `(batch, classes)`.
        smoothing: Share of each label that is spread over all classes, in [0, 1).
    """
    clean_logits = tf.cast(clean_logits, tf.float32)
    return {
        "cross_entropy": smoothed_cross_entropy(labels, clean_logits, smoothing=smoothing),
        "kl": kl(clean_logits, tf.cast(adversarial_logits, tf.float32)),
    }


def trades_weights(beta: float) -> Weights:
    """What each term is multiplied by."""
    return {"cross_entropy": 1.0, "kl": beta}
