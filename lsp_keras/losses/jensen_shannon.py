"""Jensen-Shannon divergence: how much the predictions for several views of an image differ."""

import tensorflow as tf

__all__ = ["jensen_shannon"]

# Keeps the logarithm of the mean finite.
_SMALLEST_PROBABILITY = 1e-7


def jensen_shannon(view_logits: tf.Tensor) -> tf.Tensor:
    """Mean Kullback-Leibler divergence of each view's prediction from their mean.

    Args:
        view_logits: Logits of the views of each image, float `(batch, views, classes)`.

    Returns:
        float32 `(batch,)` in nats: zero where all views agree, at most `log(views)`.

    Example:
        >>> jensen_shannon(tf.constant([[[0.0, 1.0], [0.0, 1.0]]])).numpy().round(6).tolist()
        [0.0]

    References:
        Hendrycks et al., AugMix, ICLR 2020, Eq. 2. As in github.com/google-research/augmix, the
        mean is clamped to [1e-7, 1] before its logarithm, where it has no gradient then.
    """
    logarithms = tf.nn.log_softmax(tf.cast(view_logits, tf.float32))
    probabilities = tf.exp(logarithms)
    mean = tf.reduce_mean(probabilities, axis=1, keepdims=True)
    mean_logarithm = tf.math.log(tf.clip_by_value(mean, _SMALLEST_PROBABILITY, 1.0))
    divergences = tf.reduce_sum(probabilities * (logarithms - mean_logarithm), axis=2)
    return tf.reduce_mean(divergences, axis=1)
