"""Losses as named terms: what a training method logs one by one, and their weighted sum."""

from collections.abc import Mapping

import tensorflow as tf

from lsp_keras.losses.smoothed_cross_entropy import smoothed_cross_entropy
from lsp_keras.ops.norms import nuclear_norm
from lsp_keras.ops.objectives import cross_entropy, kl, largest_other, true_logit

Terms = Mapping[str, tf.Tensor]
Weights = Mapping[str, float | tf.Tensor]

# Keeps the logarithm of MART's margin finite for an example that is wrong with certainty.
_ABOVE_ONE = 1.0001


def weighted_sum(terms: Terms, weights: Weights) -> tf.Tensor:
    """The sum of the terms, each times its weight.

    Args:
        terms: Terms by name, each float32 `(batch,)`.
        weights: Weight of each term by name.

    Returns:
        float32 `(batch,)`.
    """
    return tf.add_n([weights[name] * values for name, values in terms.items()])


def trades_terms(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    smoothing: float = 0.0,
) -> Terms:
    """CE(f(x), y) as `cross_entropy` and KL(f(x) || f(x')) as `kl`, float32 `(batch,)`.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.
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


def hat_terms(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    stretched_logits: tf.Tensor,
    helper_labels: tf.Tensor,
    *,
    smoothing: float = 0.0,
) -> Terms:
    """The terms of TRADES, and CE(f(x + h (x' - x)), y_h) as `helper`, float32 `(batch,)`.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.
        stretched_logits: Logits of the stretched images, float `(batch, classes)`.
        helper_labels: Classes that the helper gives the adversarial images, int `(batch,)`.
        smoothing: Share of each label that is spread over all classes, in [0, 1); the helper's
            labels are left as they are.
    """
    helped = cross_entropy(helper_labels, tf.cast(stretched_logits, tf.float32))
    trades = trades_terms(labels, clean_logits, adversarial_logits, smoothing=smoothing)
    return {**trades, "helper": helped}


def hat_weights(beta: float, gamma: float) -> Weights:
    """What each term is multiplied by."""
    return {**trades_weights(beta), "helper": gamma}


def mart_terms(labels: tf.Tensor, clean_logits: tf.Tensor, adversarial_logits: tf.Tensor) -> Terms:
    """CE(f(x'), y) as `cross_entropy`, `margin` and `weighted_kl`, float32 `(batch,)`.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.
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
        labels: Labels, int `(batch,)`.
        logits: Logits of the adversarial images, float `(batch, classes)`.

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
        labels: Labels, int `(batch,)`.
        clean_logits: Logits of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.

    Returns:
        float32 `(batch,)`, zero or more up to rounding.
    """
    clean_logits = tf.cast(clean_logits, tf.float32)
    uncertainty = 1.0 - true_logit(labels, tf.nn.softmax(clean_logits))
    return uncertainty * kl(clean_logits, tf.cast(adversarial_logits, tf.float32))


def nuat_terms(
    labels: tf.Tensor,
    clean_logits: tf.Tensor,
    adversarial_logits: tf.Tensor,
    *,
    smoothing: float = 0.0,
) -> Terms:
    """CE(f(x), y) as `cross_entropy` and the nuclear distance as `nuclear`, float32 `(batch,)`.

    Args:
        labels: Labels, int `(batch,)`.
        clean_logits: Logits of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.
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
        clean_logits: Logits of the clean images, float `(batch, classes)`.
        adversarial_logits: Logits of the adversarial images, float `(batch, classes)`.

    Returns:
        float32 `(batch,)`, the same value for all.
    """
    differences = tf.cast(adversarial_logits, tf.float32) - tf.cast(clean_logits, tf.float32)
    shares = tf.ones([tf.shape(differences)[0]]) / tf.cast(tf.shape(differences)[0], tf.float32)
    return nuclear_norm(differences) * shares
