"""Compactness of features: adversarial images stay near the clean ones, locally and globally."""

import tensorflow as tf

__all__ = [  # noqa: RUF022 (the registry takes the first)
    "local_compactness",
    "global_compactness",
    "smoothness",
    "confidence",
]


def local_compactness(clean_features: tf.Tensor, adversarial_features: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference between the features of an image and of its adversarial version.

    Args:
        clean_features: float `(batch, units)`; fixed, no gradient flows into them.
        adversarial_features: float `(batch, units)`.

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
    gaps = tf.stop_gradient(_float32(clean_features)) - _float32(adversarial_features)
    return tf.reduce_mean(tf.abs(gaps), axis=1)


def global_compactness(
    labels: tf.Tensor,
    clean_features: tf.Tensor,
    adversarial_features: tf.Tensor,
    *,
    scale: float = 0.99,
) -> tf.Tensor:
    """Draws adversarial features to all clean ones of their class, and away from the others.

    For adversarial image j it is the mean over clean images i of w_ij times the mean absolute
    difference of their features, where w_ij = 1 within a class and 1 - 1 / `scale` between two.
    The mean over a batch is thus (1 / B^2) sum_ij.

    Args:
        labels: int `(batch,)`.
        clean_features: As for `local_compactness`.
        adversarial_features: Likewise.
        scale: In (0, 1]; 1 leaves pairs of different classes out.

    Returns:
        float32 `(batch,)`; slightly negative where classes lie far apart.

    References:
        Bui et al., ECCV 2020.

    Differs from the reference:
        Its code divides by the batch's largest difference of labels, which is 0 / 0 in a batch
        of one class. Here the weights do not depend on the batch.
    """
    clean = tf.stop_gradient(_float32(clean_features))[:, tf.newaxis]
    gaps = tf.abs(clean - _float32(adversarial_features))
    distances = tf.reduce_mean(gaps, axis=2)
    same_class = labels[:, tf.newaxis] == labels[tf.newaxis]
    return tf.reduce_mean(tf.where(same_class, 1.0, 1.0 - 1.0 / scale) * distances, axis=0)


def smoothness(clean_logits: tf.Tensor, adversarial_logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the adversarial prediction against the clean one.

    Args:
        clean_logits: float `(batch, classes)`; fixed, no gradient flows into them.
        adversarial_logits: float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.

    References:
        Bui et al., ECCV 2020.
    """
    target = tf.nn.softmax(tf.stop_gradient(_float32(clean_logits)))
    return _cross_entropy(target, adversarial_logits)


def confidence(adversarial_logits: tf.Tensor) -> tf.Tensor:
    """Entropy of the adversarial prediction, in nats; the gradient flows through both factors.

    Args:
        adversarial_logits: float `(batch, classes)`.

    Returns:
        float32 `(batch,)`.

    References:
        Bui et al., ECCV 2020.
    """
    return _cross_entropy(tf.nn.softmax(_float32(adversarial_logits)), adversarial_logits)


def _cross_entropy(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return -tf.reduce_sum(target * tf.nn.log_softmax(_float32(logits)), axis=1)


def _float32(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32)
