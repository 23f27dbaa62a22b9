"""NuAT: cross-entropy of the clean image, and how far a batch's logits move under attack."""

import tensorflow as tf

from lsp_keras.losses._terms import nuat_terms, nuat_weights, weighted_sum

__all__ = ["nuat_loss"]


def nuat_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    beta: float = 4.0,
) -> tf.Tensor:
    """CE(f(x), y) + beta * ||f(x') - f(x)||_* / batch; the gradient flows into both logits.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits f(x) of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits f(x') of the adversarial images, float `(batch, classes)`.
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
