"""The kernel form of Local Structure Preserving: soft neighborhoods over a whole batch."""

import tensorflow as tf

from lsp_keras.ops.distances import pairwise_squares
from lsp_keras.ops.kernels import log_kernel

_BACKGROUND = 0.2


def kernel_loss(
    distances: tf.Tensor,
    anchors: tf.Tensor,
    others: tf.Tensor,
    *,
    perplexity: float,
    uniform: bool = False,
) -> tf.Tensor:
    """KL(P || Q) of each anchor's soft neighborhood in feature space and in the network's.

    Both are `lsp_keras.ops.kernels.log_kernel` at the same perplexity, mixed with a fifth of
    equal shares. Without these a pair that is near in one space and far in the other would cost
    the square of its distance, more than a classifier that draws its classes together can bear.

    Args:
        distances: Distances between the frozen encoder's features, float `(batch, batch)`; fixed,
            and infinite where an image is no neighbor, as to itself.
        anchors: Logits or features of the anchors, float `(batch, units)`.
        others: Logits or features of the same images clean, float `(batch, units)`.
        perplexity: Effective number of neighbors, see `log_kernel`.
        uniform: Whether P is replaced by equal shares, as a control.

    Returns:
        float32 `(batch,)`, zero or more.

    References:
        Hinton and Roweis, Stochastic Neighbor Embedding, 2002, Eq. 1 to 3; Cook et al.,
        Visualizing Similarity Data with a Mixture of Maps, 2007, for the equal shares.

    Differs from the reference:
        There Q has one fixed sigma, so that the scale of the map says how far is near.
    """
    distances = tf.stop_gradient(tf.cast(distances, tf.float32))
    usable = tf.math.is_finite(distances)
    counts = tf.reduce_sum(tf.cast(usable, tf.float32), axis=1, keepdims=True)
    equal = tf.zeros_like(distances) + tf.math.reciprocal_no_nan(counts)

    def mixed(squared: tf.Tensor) -> tf.Tensor:
        shares = tf.exp(log_kernel(squared, usable, perplexity))
        return (1.0 - _BACKGROUND) * shares + _BACKGROUND * equal

    # P and Q, (batch, others); a control has equal shares for P.
    target = equal if uniform else mixed(tf.where(usable, distances, 0.0) ** 2)
    estimate = mixed(pairwise_squares(tf.cast(anchors, tf.float32), tf.cast(others, tf.float32)))
    gaps = tf.where(usable, target * tf.math.log(target / estimate), 0.0)
    return tf.reduce_sum(gaps, axis=1)
