"""How far one distribution over m entries is from another: one value per example.

Every divergence has the signature `(target, estimate)`, both float `(batch, m)` with rows that
sum to one, returns `(batch,)`, is zero where they are equal, and has a finite gradient with
respect to `estimate` everywhere.
"""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.ops.distances import unit_length
from lsp_keras.ops.norms import l1_norm, l2_norm
from lsp_keras.validation import check_choice

Divergence = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_SMALLEST_PROBABILITY = 1e-7


def kl(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Kullback-Leibler divergence of `estimate` from `target`, in nats.

    Entries of `estimate` below 1e-7 count as 1e-7, without a gradient.

    Args:
        target: `(batch, m)`; an entry of zero contributes nothing.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    logarithm = tf.math.log(tf.maximum(estimate, _SMALLEST_PROBABILITY))
    return tf.reduce_sum(tf.math.xlogy(target, target) - target * logarithm, axis=1)


def cosine(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """One minus the cosine of the angle between the two.

    Args:
        target: `(batch, m)`.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return 1.0 - tf.reduce_sum(unit_length(target) * unit_length(estimate), axis=1)


def l1(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Sum of absolute differences.

    Args:
        target: `(batch, m)`.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return l1_norm(target - estimate)


def l2(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Euclidean length of the difference; its gradient is zero where the two are equal.

    Args:
        target: `(batch, m)`.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return l2_norm(target - estimate)


def sum_of_squares(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Sum of squared differences.

    Args:
        target: `(batch, m)`.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return tf.reduce_sum(tf.math.squared_difference(target, estimate), axis=1)


def mean_of_squares(target: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    """Mean of squared differences.

    Args:
        target: `(batch, m)`.
        estimate: `(batch, m)`.

    Returns:
        `(batch,)`.
    """
    return tf.reduce_mean(tf.math.squared_difference(target, estimate), axis=1)


DIVERGENCES: dict[str, Divergence] = {
    "kl": kl,
    "cosine": cosine,
    "l1": l1,
    "l2": l2,
    "sum_of_squares": sum_of_squares,
    "mean_of_squares": mean_of_squares,
}


def get(divergence: str) -> Divergence:
    """A divergence by name.

    Raises:
        InputError: There is none of that name.
    """
    return DIVERGENCES[check_choice("divergence", divergence, DIVERGENCES)]
