"""Local compactness: adversarial features stay near those of their own clean image."""

import tensorflow as tf

__all__ = ["local_compactness"]


def local_compactness(clean_features: tf.Tensor, adversarial_features: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference between the features of an image and of its adversarial version.

    Args:
        clean_features: Features of the clean images, float `(batch, units)`; fixed, no gradient
            flows into them.
        adversarial_features: Features of the adversarial images, float `(batch, units)`.

    Returns:
        float32 `(batch,)`.

    Example:
        >>> clean, adversarial = tf.constant([[1.0, 2.0]]), tf.constant([[2.0, -1.0]])
        >>> local_compactness(clean, adversarial).numpy().tolist()
        [2.0]

    References:
        Bui et al., Improving Adversarial Robustness by Enforcing Local and Global Compactness,
        ECCV 2020.
    """
    clean = tf.stop_gradient(tf.cast(clean_features, tf.float32))
    return tf.reduce_mean(tf.abs(clean - tf.cast(adversarial_features, tf.float32)), axis=1)
