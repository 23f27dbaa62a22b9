"""Local flatness: how steeply the loss changes with the pixels."""

import tensorflow as tf

from lsp_keras.ops.norms import l1_norm

__all__ = ["flatness_loss"]


def flatness_loss(gradients: tf.Tensor) -> tf.Tensor:
    """L1 norm of the loss's gradient with respect to an image.

    Args:
        gradients: Gradient of each image's own loss with respect to its pixels, float
            `(batch, height, width, channels)`.

    Returns:
        float32 `(batch,)`.

    Example:
        >>> flatness_loss(tf.constant([[[[1.0, -2.0]]]])).numpy().tolist()
        [3.0]

    References:
        Xu et al., Adversarial Defense via Local Flatness Regularization, ICIP 2020.
    """
    return l1_norm(tf.cast(gradients, tf.float32))
