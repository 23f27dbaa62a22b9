"""Local Structure Preserving loss: logit distances to neighbors as in the feature space."""

import tensorflow as tf

from lsp_keras.choices import DivergenceChoice
from lsp_keras.ops import divergences
from lsp_keras.ops.distances import neighbor_distances, shares, unit_length

__all__ = ["lsp_loss"]

# Below this the distances of float32 logits are rounding noise.
_SMALLEST_LOGIT_SUM = 1e-6


def lsp_loss(
    feature_distances: tf.Tensor,
    anchor_logits: tf.Tensor,
    neighbor_logits: tf.Tensor,
    *,
    divergence: DivergenceChoice = "l2",
    normalize_logits: bool = False,
) -> tf.Tensor:
    """Divergence between the neighbors' shares of distance in feature and in logit space.

    Args:
        feature_distances: Distances of each anchor to its neighbors in the feature space of a
            frozen encoder, float `(batch, m)`; fixed, no gradient flows into them.
        anchor_logits: Logits of the images for LSP, and of the adversarial images for LSP+, float
            `(batch, classes)`.
        neighbor_logits: Logits of the clean neighbors, float `(batch, m, classes)`.
        divergence: Name of a registered divergence, such as `"kl"` or `"l2"` (the un-squared
            norm); or a mapping of its `name` and arguments of its own.
        normalize_logits: Whether logits are scaled to length one before their distances.

    Returns:
        float32 `(batch,)`, zero or more.

    Raises:
        InputError: There is no such divergence.

    Example:
        >>> anchor, neighbors = tf.constant([[0.0]]), tf.constant([[[1.0], [3.0]]])
        >>> lsp_loss(tf.constant([[2.0, 6.0]]), anchor, neighbors).numpy().tolist()
        [0.0]

    References:
        Local Structure Preserving, Eq. 2, 3 and 4 (LSP), Eq. 9 and 10 (LSP+).

    Differs from the reference:
        The paper minimizes "MSE loss, i.e. the L2 distance" without stating how it reduces; the
        three readings are `l2` (default), `sum_of_squares` and `mean_of_squares`. A row whose
        distances are all zero, as duplicates make it, counts as equal shares.
    """
    measure = divergences.get(divergence)
    anchor_logits = tf.cast(anchor_logits, tf.float32)
    neighbor_logits = tf.cast(neighbor_logits, tf.float32)
    if normalize_logits:
        anchor_logits, neighbor_logits = unit_length(anchor_logits), unit_length(neighbor_logits)
    target = shares(tf.stop_gradient(tf.cast(feature_distances, tf.float32)))
    estimate = shares(neighbor_distances(anchor_logits, neighbor_logits), _SMALLEST_LOGIT_SUM)
    return measure(target, estimate)
