"""NuAT: cross-entropy of the clean image, and how far a batch's logits move under attack."""

import tensorflow as tf

from lsp_keras.losses._terms import Terms, Weights, weighted_sum
from lsp_keras.losses.smoothed_cross_entropy import smoothed_cross_entropy
from lsp_keras.ops.norms import nuclear_norm

__all__ = ["nuat_loss", "nuat_terms", "nuat_weights", "nuclear_distance"]


def nuat_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    beta: float = 4.0,
) -> tf.Tensor:
    """CE(f(x), y) + beta * ||f(x') - f(x)||_* / batch; the gradient flows into both logits.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`, f(x).
        adversarial_logits: float `(batch, classes)`, f(x').
        beta: Weight of the nuclear norm, zero or more.

    Returns:
        float32 `(batch,)`.

    Example:
        >>> even = tf.constant([[0.0, 0.0]])
        >>> round(float(nuat_loss(tf.constant([0]), even, even + [[3.0, 4.0]], beta=1.0)[0]), 4)
        5.6931

    References:
        Sriramanan et al., Towards Efficient and Effective Adversarial Training, NeurIPS 2021;
        github.com/val-iisc/NuAT.
    """
    terms = nuat_terms(labels, clean_logits, adversarial_logits)
    return weighted_sum(terms, nuat_weights(beta))


def nuat_terms(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    smoothing: float = 0.0,
) -> Terms:
    """CE(f(x), y) as `cross_entropy` and the nuclear distance as `nuclear`, float32 `(batch,)`.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`.
        adversarial_logits: float `(batch, classes)`.
        smoothing: Share of each label that is spread over all classes, in [0, 1).
    """
    return {
        "cross_entropy": smoothed_cross_entropy(labels, clean_logits, smoothing=smoothing),
        "nuclear": nuclear_distance(clean_logits, adversarial_logits),
    }


def nuat_weights(beta: float | tf.Tensor) -> Weights:
    """What each term is multiplied by."""
    return {"cross_entropy": 1.0, "nuclear": beta}


def nuclear_distance(clean_logits: tf.Tensor, adversarial_logits: tf.Tensor) -> tf.Tensor:
    """Nuclear norm of the batch's matrix of differences, divided by the number of its rows.

    It is about proportional to 1 / sqrt(batch): with a larger batch a weight means less.

    Args:
        clean_logits: float `(batch, classes)`.
        adversarial_logits: float `(batch, classes)`.

    Returns:
        float32 `(batch,)`, the same value for all.
    """
    differences = tf.cast(adversarial_logits, tf.float32) - tf.cast(clean_logits, tf.float32)
    shares = tf.ones([tf.shape(differences)[0]]) / tf.cast(tf.shape(differences)[0], tf.float32)
    return nuclear_norm(differences) * shares
