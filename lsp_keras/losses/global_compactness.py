"""Global compactness: adversarial features stay near the clean ones of their class."""

import tensorflow as tf

__all__ = ["global_compactness"]


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
        labels: Labels, int `(batch,)`.
        clean_features: Features of the clean images, float `(batch, units)`; fixed, no gradient
            flows into them.
        adversarial_features: Features of the adversarial images, float `(batch, units)`.
        scale: Number in (0, 1] that weighs pairs of different classes; 1 leaves them out.

    Returns:
        float32 `(batch,)`; slightly negative where classes lie far apart.

    References:
        Bui et al., ECCV 2020.

    Differs from the reference:
        Its code divides by the batch's largest difference of labels, which is 0 / 0 in a batch
        of one class. Here the weights do not depend on the batch.
    """
    # Clean images by rows, adversarial ones by columns: (batch, batch, units).
    clean = tf.stop_gradient(tf.cast(clean_features, tf.float32))[:, tf.newaxis]
    gaps = tf.abs(clean - tf.cast(adversarial_features, tf.float32))
    distances = tf.reduce_mean(gaps, axis=2)
    # w_ij, (batch, batch): negative between classes, so that the term drives them apart.
    same_class = labels[:, tf.newaxis] == labels[tf.newaxis]
    return tf.reduce_mean(tf.where(same_class, 1.0, 1.0 - 1.0 / scale) * distances, axis=0)
