"""Relations within a batch: the cosines of all pairs of features, kept alike under attack."""

import tensorflow as tf

from lsp_keras.ops.distances import unit_length

__all__ = ["relation_loss"]


def relation_loss(clean_features: tf.Tensor, adversarial_features: tf.Tensor) -> tf.Tensor:
    """Mean of exp(|c_ij - c'_ij|) - 1 over the images j of the batch.

    c_ij is the cosine of the features of images i and j, c'_ij that of their adversarial
    versions. The gradient flows into both.

    Args:
        clean_features: Features of the clean images, float `(batch, features)`.
        adversarial_features: Features of the same images under attack, float `(batch, features)`.

    Returns:
        float32 `(batch,)`, zero or more.

    Example:
        >>> features = tf.constant([[1.0, 0.0], [1.0, 0.0]])
        >>> relation_loss(features, 3.0 * features).numpy().tolist()
        [0.0, 0.0]

    References:
        Liu et al., Latent Feature Relation Consistency for Adversarial Robustness, 2023, arXiv
        2303.16697; github.com/liuxingbin/LFRC, `train_lfrc.py`.

    Differs from the reference:
        Its loss is larger by one, a constant.
    """
    gaps = tf.abs(_cosines(clean_features) - _cosines(adversarial_features))
    return tf.reduce_mean(tf.math.expm1(gaps), axis=1)


def _cosines(features: tf.Tensor) -> tf.Tensor:
    directions = unit_length(tf.cast(features, tf.float32))
    return tf.matmul(directions, directions, transpose_b=True)
