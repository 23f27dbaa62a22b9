"""The kernel form of Local Structure Preserving: soft neighborhoods over a whole batch."""

import tensorflow as tf

from lsp_keras.ops.distances import pairwise_squares
from lsp_keras.ops.kernels import log_kernel


def kernel_loss(
    distances: tf.Tensor,
    anchors: tf.Tensor,
    others: tf.Tensor,
    *,
    perplexity: float,
    uniform: bool = False,
) -> tf.Tensor:
    """KL(P || Q) of each anchor's soft neighborhood in feature space and in the network's.

    Both are `lsp_keras.ops.kernels.log_kernel`, at the same perplexity.

    Args:
        distances: float `(batch, batch)`, of the frozen encoder's features, fixed; infinite
            where an image is no neighbor, as to itself.
        anchors: float `(batch, units)`, logits or features of the anchors.
        others: float `(batch, units)`, of the same images clean.
        perplexity: See `log_kernel`.
        uniform: Whether P is replaced by equal shares, as a control.

    Returns:
        float32 `(batch,)`, zero or more.

    References:
        Hinton and Roweis, Stochastic Neighbor Embedding, 2002, Eq. 1 to 3.

    Differs from the reference:
        There Q has one fixed sigma, so that the scale of the map says how far is near.
    """
    distances = tf.stop_gradient(tf.cast(distances, tf.float32))
    usable = tf.math.is_finite(distances)
    if uniform:
        counts = tf.reduce_sum(tf.cast(usable, tf.float32), axis=1, keepdims=True)
        log_target = tf.where(usable, -tf.math.log(counts), 0.0)
    else:
        log_target = log_kernel(tf.where(usable, distances, 0.0) ** 2, usable, perplexity)
    squared = pairwise_squares(tf.cast(anchors, tf.float32), tf.cast(others, tf.float32))
    log_estimate = log_kernel(squared, usable, perplexity)
    gaps = tf.exp(log_target) * (log_target - log_estimate)
    return tf.reduce_sum(tf.where(usable, gaps, 0.0), axis=1)
