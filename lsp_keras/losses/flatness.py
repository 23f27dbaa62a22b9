"""Local flatness: how steeply the loss changes with the pixels, exactly or by two losses."""

import tensorflow as tf

from lsp_keras.ops.norms import l1_norm
from lsp_keras.ops.objectives import cross_entropy

__all__ = [  # noqa: RUF022 (the registry takes the first)
    "flatness_loss",
    "flatness_by_differences",
]


def flatness_loss(gradients: tf.Tensor) -> tf.Tensor:
    """L1 norm of the loss's gradient with respect to an image.

    Args:
        gradients: float `(batch, height, width, channels)`, of each image's own loss.

    Returns:
        float32 `(batch,)`.

    Example:
        >>> flatness_loss(tf.constant([[[[1.0, -2.0]]]])).numpy().tolist()
        [3.0]

    References:
        Xu et al., Adversarial Defense via Local Flatness Regularization, ICIP 2020.
    """
    return l1_norm(tf.cast(gradients, tf.float32))


def flatness_by_differences(
    labels: tf.Tensor, ahead_logits: tf.Tensor, behind_logits: tf.Tensor, *, distance: float
) -> tf.Tensor:
    """|loss(x + d/2 s) - loss(x - d/2 s)| / d: the slope of the cross-entropy along s.

    Where s holds the signs of the gradient at x, the slope tends to `flatness_loss` as d tends
    to 0, and so does its gradient with respect to the weights, which needs no second derivative.

    Args:
        labels: int `(batch,)`.
        ahead_logits: float `(batch, classes)` at x + d/2 s.
        behind_logits: float `(batch, classes)` at x - d/2 s.
        distance: d, between the two points in every pixel, on the [0, 1] scale.

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
