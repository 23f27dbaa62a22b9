"""MART: boosted cross-entropy under attack, and stability where the clean image is uncertain."""

import tensorflow as tf

from lsp_keras.losses._terms import Terms, Weights, weighted_sum
from lsp_keras.ops.objectives import cross_entropy, kl, largest_other, true_logit

__all__ = ["margin_term", "mart_loss", "mart_terms", "mart_weights", "weighted_kl"]

# Keeps the logarithm finite for an example that is wrong with certainty.
_ABOVE_ONE = 1.0001


def mart_loss(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    beta: float = 5.0,
) -> tf.Tensor:
    """CE(f(x'), y) + margin_term + beta * weighted_kl; the gradient flows into both logits.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`, f(x).
        adversarial_logits: float `(batch, classes)`, f(x').
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


def mart_terms(labels: tf.Tensor, clean_logits: tf.Tensor, adversarial_logits: tf.Tensor) -> Terms:
    """CE(f(x'), y) as `cross_entropy`, `margin` and `weighted_kl`, float32 `(batch,)`.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`.
        adversarial_logits: float `(batch, classes)`.
    """
    return {
        "cross_entropy": cross_entropy(labels, tf.cast(adversarial_logits, tf.float32)),
        "margin": margin_term(labels, adversarial_logits),
        "weighted_kl": weighted_kl(labels, clean_logits, adversarial_logits),
    }


def mart_weights(beta: float) -> Weights:
    """What each term is multiplied by."""
    return {"cross_entropy": 1.0, "margin": 1.0, "weighted_kl": beta}


def margin_term(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """-log(1.0001 - p_k), k the most likely wrong class: what boosts the cross-entropy.

    Args:
        labels: int `(batch,)`.
        logits: float `(batch, classes)`, of the adversarial images.

    Returns:
        float32 `(batch,)`, between -1e-4 and 9.3.
    """
    log_probabilities = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    return -tf.math.log(_ABOVE_ONE - tf.exp(largest_other(labels, log_probabilities)))


def weighted_kl(
    labels: tf.Tensor, clean_logits: tf.Tensor, adversarial_logits: tf.Tensor
) -> tf.Tensor:
    """KL(f(x) || f(x')) * (1 - p_y), p_y the probability of the label for the clean image.

    Args:
        labels: int `(batch,)`.
        clean_logits: float `(batch, classes)`.
        adversarial_logits: float `(batch, classes)`.

    Returns:
        float32 `(batch,)`, zero or more up to rounding.
    """
    clean_logits = tf.cast(clean_logits, tf.float32)
    uncertainty = 1.0 - true_logit(labels, tf.nn.softmax(clean_logits))
    return uncertainty * kl(clean_logits, tf.cast(adversarial_logits, tf.float32))
