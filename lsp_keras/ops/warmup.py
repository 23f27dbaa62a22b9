"""Sizes that grow from nothing over the first steps of a training."""

import tensorflow as tf


def warmed_share(iteration: int | tf.Tensor, warmup_steps: int) -> float | tf.Tensor:
    """Share of the full size that is reached, in [0, 1]; without warm-up 1.

    Args:
        iteration: Number of steps that were taken.
        warmup_steps: Number of steps until the full size, zero or more.

    Example:
        >>> warmed_share(0, 0), float(warmed_share(1, 4)), float(warmed_share(9, 4))
        (1.0, 0.25, 1.0)
    """
    if not warmup_steps:
        return 1.0
    return tf.minimum(tf.cast(iteration, tf.float32) / warmup_steps, 1.0)
