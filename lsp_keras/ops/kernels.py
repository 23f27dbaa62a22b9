"""Soft neighborhoods: a normal kernel around each anchor, as wide as a perplexity asks."""

import math

import tensorflow as tf

from lsp_keras.ops.loops import in_turn

# Of the mean squared distance: the kernels searched reach from flat to one neighbor alone.
_LOWEST, _HIGHEST = math.log(1e-3), math.log(1e6)
_HALVINGS = 20
_FAR = -1e30


def log_kernel(squared: tf.Tensor, usable: tf.Tensor, perplexity: float) -> tf.Tensor:
    """Logarithms of p_ij = exp(-d_ij^2 / 2 sigma_i^2) / sum_k exp(-d_ik^2 / 2 sigma_i^2).

    Each anchor's sigma is such that the entropy of its row is that of `perplexity` equally
    likely neighbors. Sigma follows the distances, also in the gradient, so that a common factor
    of all distances changes neither the value nor, through it, what is learned.

    Args:
        squared: Squared distances, float32 `(batch, n)`.
        usable: Whether each distance is used, bool `(batch, n)`; the others count as infinitely
            far.
        perplexity: More than 1 and less than the number of usable entries of a row.

    Returns:
        float32 `(batch, n)`; 0 where an entry is not usable. Where no sigma reaches the
        perplexity, as in a row of equal distances, the nearest that can be had.

    References:
        Hinton and Roweis, Stochastic Neighbor Embedding, 2002, Eq. 1; van der Maaten and Hinton,
        Visualizing Data using t-SNE, 2008, for the search.
    """
    squared = tf.where(usable, squared, 0.0)
    counts = tf.reduce_sum(tf.cast(usable, tf.float32), axis=1, keepdims=True)
    mean = tf.math.divide_no_nan(tf.reduce_sum(squared, axis=1, keepdims=True), counts)
    scaled = squared / tf.stop_gradient(tf.where(mean > 0, mean, 1.0))
    goal = tf.constant(math.log(perplexity), tf.float32)
    precision = tf.stop_gradient(tf.exp(_search(tf.stop_gradient(scaled), usable, goal)))
    return _log_softmax(scaled, usable, _following(precision, scaled, usable, goal))


def _search(scaled: tf.Tensor, usable: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """Logarithm of 1 / 2 sigma^2, `(batch, 1)`, by halving: entropy falls as it grows."""
    low = tf.fill([tf.shape(scaled)[0], 1], _LOWEST)
    high = tf.fill([tf.shape(scaled)[0], 1], _HIGHEST)

    def halve(turn: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, ...]:
        middle = (low + high) / 2
        too_wide = _entropy(_log_softmax(scaled, usable, tf.exp(middle)), usable) > goal
        return turn + 1, tf.where(too_wide, middle, low), tf.where(too_wide, high, middle)

    start = (tf.constant(0), low, high)
    _, low, high = in_turn(lambda turn, *_: turn < _HALVINGS, halve, start)
    return (low + high) / 2


def _following(
    precision: tf.Tensor, scaled: tf.Tensor, usable: tf.Tensor, goal: tf.Tensor
) -> tf.Tensor:
    """The precision after one Newton step, whose gradient is that of the exact solution.

    By the implicit function theorem d precision = -(dH/d distances) / (dH/d precision). A row
    whose entropy is not to be had keeps its precision, without a gradient.
    """
    log_shares = _log_softmax(scaled, usable, precision)
    excess = _entropy(log_shares, usable) - goal
    probabilities = tf.where(usable, tf.exp(log_shares), 0.0)
    mean = tf.reduce_sum(probabilities * scaled, axis=1, keepdims=True)
    variance = tf.reduce_sum(probabilities * (scaled - mean) ** 2, axis=1, keepdims=True)
    slope = tf.stop_gradient(-precision * variance)
    found = tf.stop_gradient((tf.abs(excess) < 0.01) & (-slope * precision > 1e-4))
    return precision - tf.where(found, excess / tf.where(found, slope, -1.0), 0.0)


def _log_softmax(scaled: tf.Tensor, usable: tf.Tensor, precision: tf.Tensor) -> tf.Tensor:
    logits = tf.where(usable, -precision * scaled, _FAR)
    return tf.where(usable, tf.nn.log_softmax(logits, axis=1), 0.0)


def _entropy(log_shares: tf.Tensor, usable: tf.Tensor) -> tf.Tensor:
    """In nats, `(batch, 1)`."""
    terms = tf.where(usable, tf.exp(log_shares) * log_shares, 0.0)
    return -tf.reduce_sum(terms, axis=1, keepdims=True)
