"""Local flatness by the losses at two points, which needs no second derivative."""

import tensorflow as tf

from lsp_keras.ops.objectives import cross_entropy

__all__ = ["flatness_by_differences"]


def flatness_by_differences(
    labels: tf.Tensor, ahead_logits: tf.Tensor, behind_logits: tf.Tensor, *, distance: float
) -> tf.Tensor:
    """|loss(x + d/2 s) - loss(x - d/2 s)| / d: the slope of the cross-entropy along s.

    Where s holds the signs of the gradient at x, the slope tends to `flatness_loss` as d tends
    to 0, and so does its gradient with respect to the weights, which needs no second derivative.

    Args:
        labels: Labels, int `(batch,)`.
        ahead_logits: Logits at x + d/2 s, float `(batch, classes)`.
        behind_logits: Logits at x - d/2 s, float `(batch, classes)`.
        distance: Distance d of the two points in every pixel, on the [0, 1] scale.

    Returns:
        float32 `(batch,)`, zero or more. A slope measured over a distance can come out negative
        and would then reward ever steeper losses: its size is taken.

    Example:
        >>> labels, ahead, behind = tf.constant([0]), tf.constant([[0.0, 0.0]]), [[100.0, 0.0]]
        >>> round(float(flatness_by_differences(labels, ahead, behind, distance=0.1)[0]), 4)
        6.9315
    """
    ahead = cross_entropy(labels, tf.cast(ahead_logits, tf.float32))
    behind = cross_entropy(labels, tf.cast(behind_logits, tf.float32))
    return tf.abs(ahead - behind) / distance
