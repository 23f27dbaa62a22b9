"""A loss as named terms: what a training method logs one by one, and their weighted sum."""

from collections.abc import Mapping

import tensorflow as tf

Terms = Mapping[str, tf.Tensor]
Weights = Mapping[str, float | tf.Tensor]


def weighted_sum(terms: Terms, weights: Weights) -> tf.Tensor:
    """The sum of the terms, each times its weight.

    Args:
        terms: float32 `(batch,)` by name.
        weights: One for each of them.

    Returns:
        float32 `(batch,)`.
    """
    return tf.add_n([weights[name] * values for name, values in terms.items()])
