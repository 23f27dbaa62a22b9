"""Distances of an example to its neighbors, and their shares of the sum."""

import numpy as np
import tensorflow as tf

from lsp_keras.ops.norms import l2_norm


def neighbor_distances(anchors: tf.Tensor, neighbors: tf.Tensor) -> tf.Tensor:
    """Euclidean distance of each anchor to each of its neighbors.

    Where the two coincide, the distance and its gradient are zero.

    Args:
        anchors: Features of the anchors, float `(batch, features)`.
        neighbors: Features of the neighbors, float `(batch, m, features)`.

    Returns:
        `(batch, m)`.

    Example:
        >>> neighbor_distances(tf.zeros([1, 2]), tf.constant([[[3.0, 4.0]]])).numpy().tolist()
        [[5.0]]
    """
    differences = neighbors - anchors[:, tf.newaxis, :]
    distances = l2_norm(tf.reshape(differences, [-1, tf.shape(differences)[-1]]))
    return tf.reshape(distances, tf.shape(differences)[:2])


def shares(distances: tf.Tensor, smallest_sum: float = 0.0) -> tf.Tensor:
    """Each distance divided by the sum of its row.

    Args:
        distances: Distances to the neighbors, float `(batch, m)`, zero or more.
        smallest_sum: A row whose sum does not exceed it gets equal shares, without a gradient.

    Returns:
        `(batch, m)`, rows sum to one.

    References:
        Local Structure Preserving, Eq. 2 and 3.
    """
    total = tf.reduce_sum(distances, axis=1, keepdims=True)
    usable = total > smallest_sum
    equal = 1.0 / tf.cast(tf.shape(distances)[1], distances.dtype)
    # The inner `where` keeps the derivative finite where the outer one drops it.
    return tf.where(usable, distances / tf.where(usable, total, 1.0), equal)


def unit_length(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors divided by their Euclidean length; a zero vector stays zero.

    Args:
        vectors: Vectors, float `(..., features)`.

    Returns:
        As `vectors`.
    """
    lengths = l2_norm(tf.reshape(vectors, [-1, tf.shape(vectors)[-1]]))
    lengths = tf.reshape(lengths, tf.concat([tf.shape(vectors)[:-1], [1]], axis=0))
    return tf.math.divide_no_nan(vectors, lengths)


def pairwise_squares(anchors: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Squared Euclidean distance of each anchor to each of the others.

    Args:
        anchors: Features of the anchors, float `(batch, features)`.
        others: Features of the others, float `(n, features)`.

    Returns:
        `(batch, n)`.
    """
    return tf.reduce_sum((anchors[:, tf.newaxis] - others[tf.newaxis]) ** 2, axis=2)


def distances_within(features: tf.Tensor) -> tf.Tensor:
    """Euclidean distances among the rows of one batch, by their products; without gradient.

    Args:
        features: Features of the batch, float `(batch, features)`.

    Returns:
        float32 `(batch, batch)`, infinite from an image to itself.
    """
    features = tf.stop_gradient(tf.cast(features, tf.float32))
    # Centered: products of what all rows share would only add rounding.
    features -= tf.reduce_mean(features, axis=0, keepdims=True)
    lengths = tf.reduce_sum(features**2, axis=1)
    products = tf.matmul(features, features, transpose_b=True)
    squares = lengths[:, tf.newaxis] + lengths[tf.newaxis] - 2.0 * products
    distances = tf.sqrt(tf.maximum(squares, 0.0))
    return tf.linalg.set_diag(distances, tf.fill(tf.shape(lengths), np.inf))
