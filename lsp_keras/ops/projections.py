"""Projections onto the ball around an image and onto the pixel box."""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.ops.norms import expand, l1_norm, l2_norm
from lsp_keras.types import NORMS, Norm
from lsp_keras.validation import check_choice

_HALF_ULP_OF_A_PIXEL = 2.0**-24
_NORM_SUMMATION_ERROR = 2.0**-20
_SMALLEST_LENGTH = 1e-12
_ORDERS: dict[Norm, float] = {"linf": 0.0, "l2": 0.5, "l1": 1.0}


def project_linf(delta: tf.Tensor, epsilon: float | tf.Tensor) -> tf.Tensor:
    """Nearest perturbation with no entry above `epsilon`.

    Args:
        delta: Perturbations `(batch, ...)`.
        epsilon: Radius, scalar or `(batch,)`.
    """
    radii = expand(_radii(epsilon, delta), delta)
    return tf.clip_by_value(delta, -radii, radii)


def project_l2(delta: tf.Tensor, epsilon: float | tf.Tensor) -> tf.Tensor:
    """Nearest perturbation of Euclidean length at most `epsilon`.

    Args:
        delta: Perturbations `(batch, ...)`.
        epsilon: Radius, scalar or `(batch,)`.
    """
    lengths = tf.maximum(l2_norm(delta), _SMALLEST_LENGTH)
    return delta * expand(tf.minimum(1.0, _radii(epsilon, delta) / lengths), delta)


def project_l1(delta: tf.Tensor, epsilon: float | tf.Tensor) -> tf.Tensor:
    """Nearest perturbation whose absolute entries sum to at most `epsilon`.

    Args:
        delta: Perturbations `(batch, ...)`.
        epsilon: Radius, scalar or `(batch,)`.

    References:
        Duchi et al., Efficient Projections onto the l1-Ball, ICML 2008, Figure 1.
    """
    radii = _radii(epsilon, delta)[:, tf.newaxis]
    magnitudes = tf.abs(tf.reshape(delta, [tf.shape(delta)[0], -1]))
    descending = tf.sort(magnitudes, axis=1, direction="DESCENDING")
    ranks = tf.range(1.0, tf.cast(tf.shape(descending)[1], delta.dtype) + 1.0)
    thresholds = (tf.cumsum(descending, axis=1) - radii) / ranks
    support = tf.reduce_sum(tf.cast(descending > thresholds, tf.int32), axis=1)
    last = tf.maximum(support - 1, 0)[:, tf.newaxis]
    threshold = tf.maximum(tf.gather(thresholds, last, axis=1, batch_dims=1), 0.0)
    shrunk = tf.reshape(tf.maximum(magnitudes - threshold, 0.0), tf.shape(delta))
    inside = expand(l1_norm(delta) <= epsilon, delta)
    return tf.where(inside, delta, tf.sign(delta) * shrunk)


_BY_NAME: dict[Norm, Callable[[tf.Tensor, float | tf.Tensor], tf.Tensor]] = {
    "linf": project_linf,
    "l2": project_l2,
    "l1": project_l1,
}


def project_ball(delta: tf.Tensor, epsilon: float | tf.Tensor, norm: Norm) -> tf.Tensor:
    """Nearest perturbation in the ball of radius `epsilon`.

    Args:
        delta: Perturbations `(batch, ...)`.
        epsilon: Radius on the [0, 1] scale, scalar or `(batch,)`.
        norm: `"linf"`, `"l2"` or `"l1"`.

    Raises:
        InputError: There is no such norm.
    """
    check_choice("norm", norm, NORMS)
    return _BY_NAME[norm](delta, epsilon)


def project(
    images: tf.Tensor, originals: tf.Tensor, epsilon: float | tf.Tensor, norm: Norm
) -> tf.Tensor:
    """Moves images into the ball around the originals and into [0, 1].

    Clipping to the box last cannot leave the ball: the originals lie in the box, so it only
    shortens each entry of the perturbation.

    Args:
        images: `(batch, height, width, channels)`.
        originals: Likewise, in [0, 1].
        epsilon: Radius on the [0, 1] scale.
        norm: `"linf"`, `"l2"` or `"l1"`.

    Returns:
        Images within `rounding_tolerance` of the budget.
    """
    delta = project_ball(images - originals, epsilon, norm)
    return tf.clip_by_value(originals + delta, 0.0, 1.0)


def rounding_tolerance(epsilon: float, norm: Norm, num_entries: int) -> float:
    """By how much float32 rounding alone may lift a perturbation's norm above `epsilon`.

    Adding a perturbation to pixels in [0, 1] rounds each by at most 2**-24, and summing the
    norm itself has a relative error. Every check of a budget uses this bound and no other.

    Args:
        epsilon: Radius on the [0, 1] scale.
        norm: `"linf"`, `"l2"` or `"l1"`.
        num_entries: Pixels times channels of one image.
    """
    rounding = _HALF_ULP_OF_A_PIXEL * num_entries ** _ORDERS[norm]
    return float(rounding + _NORM_SUMMATION_ERROR * epsilon)


def _radii(epsilon: float | tf.Tensor, delta: tf.Tensor) -> tf.Tensor:
    return tf.broadcast_to(tf.cast(epsilon, delta.dtype), [tf.shape(delta)[0]])
