"""Cross-entropy with smoothed labels."""

import tensorflow as tf

from lsp_keras.ops.objectives import cross_entropy

__all__ = ["smoothed_cross_entropy"]


def smoothed_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, *, smoothing: float = 0.1
) -> tf.Tensor:
    """Cross-entropy with a label that gives every class a share of the probability.

    The label has `1 - smoothing + smoothing / classes` for the true class and
    `smoothing / classes` for each other.

    Args:
        labels: Labels, int `(batch,)`.
        logits: Logits, float `(batch, classes)`.
        smoothing: Share of each label that is spread over all classes, in [0, 1); 0 is the
            cross-entropy itself.

    Returns:
        float32 `(batch,)`.

    Example:
        >>> smoothed_cross_entropy(tf.constant([1]), tf.constant([[0.0, 0.0]])).numpy().round(4)
        array([0.6931], dtype=float32)

    References:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, section 7.
    """
    logits = tf.cast(logits, tf.float32)
    hard = cross_entropy(labels, logits)
    if smoothing == 0:
        return hard
    uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
    return (1.0 - smoothing) * hard + smoothing * uniform
