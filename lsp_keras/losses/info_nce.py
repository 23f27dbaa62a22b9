"""InfoNCE: the cross-entropy of finding an image's own key among keys of other images."""

import tensorflow as tf

__all__ = ["info_nce", "info_nce_logits"]


def info_nce_logits(
    queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor, *, temperature: float
) -> tf.Tensor:
    """Similarities of each query, its own key's first.

    Args:
        queries: float32 `(batch, dimensions)`, rows of length 1.
        keys: float32 `(batch, dimensions)`, the other view of each query's image, length 1.
        negatives: float32 `(k, dimensions)`, keys of other images, length 1.
        temperature: Temperature t that divides the cosines, positive.

    Returns:
        float32 `(batch, 1 + k)`, cosine similarities divided by the temperature.
    """
    # (batch, 1) and (batch, k); the right answer is always column 0.
    positive = tf.reduce_sum(queries * keys, axis=1, keepdims=True)
    negative = tf.matmul(queries, negatives, transpose_b=True)
    return tf.concat([positive, negative], axis=1) / temperature


def info_nce(
    queries: tf.Tensor, keys: tf.Tensor, negatives: tf.Tensor, *, temperature: float
) -> tf.Tensor:
    """-log(exp(q.k / t) / (exp(q.k / t) + sum_n exp(q.n / t))) for each query.

    Args:
        queries: Queries, as `info_nce_logits` takes them.
        keys: Keys, as `info_nce_logits` takes them.
        negatives: Negatives, as `info_nce_logits` takes them.
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
    logits = info_nce_logits(queries, keys, negatives, temperature=temperature)
    # The cross-entropy against column 0.
    return tf.reduce_logsumexp(logits, axis=1) - logits[:, 0]
