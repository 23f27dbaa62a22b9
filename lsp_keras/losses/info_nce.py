"""InfoNCE: the cross-entropy of finding an image's own key among keys of other images."""

import tensorflow as tf

__all__ = ["info_nce"]


def info_nce(
    queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor, *, temperature: float
) -> tf.Tensor:
    """-log(exp(q.k / t) / (exp(q.k / t) + sum_n exp(q.n / t))) for each query.

    Args:
        queries: Features of the images, float32 `(batch, dimensions)`, rows of length 1.
        keys: Features of the other view of each query's image, float32 `(batch, dimensions)`,
            rows of length 1.
        negatives: Keys of other images, float32 `(k, dimensions)`, rows of length 1.
        temperature: Temperature t that divides the cosines, positive.

    Returns:
        float32 `(batch,)`.

    Example:
        >>> own, other = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
        >>> round(float(info_nce(own, own, other, temperature=1.0)[0]), 4)
        0.3133

    References:
        He et al., Momentum Contrast, CVPR 2020, Eq. 1.
    """
    logits = _similarities(queries, keys, negatives, temperature=temperature)
    # The cross-entropy against column 0.
    return tf.reduce_logsumexp(logits, axis=1) - logits[:, 0]


def _similarities(
    queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor, *, temperature: float
) -> tf.Tensor:
    """Cosines of each query and the keys, its own first, over the temperature: `(batch, 1 + k)`."""
    # (batch, 1) and (batch, k); the right answer is always column 0.
    positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)
    negative = tf.matmul(queries, negatives, transpose_b=True)
    return tf.concat([positive, negative], axis=1) / temperature
