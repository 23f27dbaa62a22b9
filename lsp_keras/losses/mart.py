"""MART: boosted cross-entropy under attack, and stability where the clean image is uncertain."""

import tensorflow as tf

from lsp_keras.losses._terms import mart_terms, mart_weights, weighted_sum

__all__ = ["mart_loss"]


def mart_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    beta: float = 5.0,
) -> tf.Tensor:
    """CE(f(x'), y) - log(1.0001 - p'_k) + beta * (1 - p_y) * KL(f(x) || f(x')).

    p_y is the probability of the label for the clean image, p'_k that of the most likely wrong
    class for the adversarial one. The gradient flows into both logits.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits f(x) of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits f(x') of the adversarial images, float `(batch, classes)`.
        beta: Weight of the divergence, zero or more; lambda of the paper.

    Returns:
        float32 `(batch,)`, above -1e-4.

    Example:
        >>> even = tf.constant([[0.0, 0.0]])
        >>> round(float(mart_loss(tf.constant([0]), even, even)[0]), 3)
        1.386

    References:
        Wang et al., Improving Adversarial Robustness Requires Revisiting Misclassified Examples,
        ICLR 2020: the surrogate of the risk in Eq. 7.

    Differs from the reference:
        As the code, and unlike the paper, the margin term has 1.0001 in place of 1. As the
        paper, and unlike the code, the weight is 1 - p_y without 1e-7 added, and probabilities
        within the divergence are not raised by 1e-12: their logarithms are exact here.
    """
    terms = mart_terms(labels, clean_logits, adversarial_logits)
    return weighted_sum(terms, mart_weights(beta))
