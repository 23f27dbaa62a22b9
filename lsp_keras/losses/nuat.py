"""NuAT: cross-entropy of the clean image, and how far a batch's logits move under attack."""

import tensorflow as tf

from lsp_keras.ops.norms import nuclear_norm
from lsp_keras.ops.objectives import cross_entropy

__all__ = ["nuat_loss", "nuclear_distance"]


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
    clean_logits = tf.cast(clean_logits, tf.float32)
    distances = nuclear_distance(clean_logits, adversarial_logits)
    return cross_entropy(labels, clean_logits) + beta * distances


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
