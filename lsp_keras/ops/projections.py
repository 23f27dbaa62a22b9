"""Projections onto the ball around an image and onto the pixel box."""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.ops.norms import expand, l2_norm
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


def project_l1(
    delta: tf.Tensor, epsilon: float | tf.Tensor, *, room: tf.Tensor | None = None
) -> tf.Tensor:
    """Nearest perturbation whose absolute entries sum to at most `epsilon`.

    All entries lose the same amount of their size, none below zero, and are cut to their room
    after that. What they sum to falls along a line between the amounts at which an entry starts
    or ceases to shrink, so sorting these gives the amount exactly.

    Args:
        delta: Perturbations `(batch, ...)`.
        epsilon: Radius, scalar or `(batch,)`.
        room: Largest size of each entry, at least 0, shaped like `delta`; default no limit.

    References:
        Duchi et al., Efficient Projections onto the l1-Ball, ICML 2008, without `room`.
        Croce and Hein, Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image
        Classifiers, ICML 2021, Proposition 2.1, with it.
    """
    sizes = tf.abs(_rows(delta))
    caps = sizes if room is None else tf.minimum(sizes, _rows(room))
    excess = _excess_of_sizes(sizes, caps, _radii(epsilon, delta))
    kept = tf.minimum(tf.maximum(sizes - excess[:, tf.newaxis], 0.0), caps)
    return tf.sign(delta) * tf.reshape(kept, tf.shape(delta))


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
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`.

    Raises:
        InputError: There is no such norm.
    """
    check_choice("norm", norm, NORMS)
    return _BY_NAME[norm](delta, epsilon)


def project(
    images: tf.Tensor, originals: tf.Tensor, epsilon: float | tf.Tensor, norm: Norm
) -> tf.Tensor:
    """Moves images into the ball around the originals and into [0, 1].

    Under L-inf and L1 the result is the nearest point of both. Under L2, as in all attacks of
    the literature, it is the nearest point of the ball, clipped to the box: clipping cannot
    leave the ball, since the originals lie in the box and each entry only becomes shorter.

    Args:
        images: Images, `(batch, height, width, channels)`.
        originals: Centers of the balls, of the same shape, in [0, 1].
        epsilon: Radius on the [0, 1] scale.
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`.

    Returns:
        Images within `rounding_tolerance` of the budget.
    """
    delta = images - originals
    if norm == "l1":
        # The ball's corners lie outside of the box: clipping last would waste most of the radius.
        room = tf.where(delta > 0.0, 1.0 - originals, originals)
        delta = project_l1(delta, epsilon, room=room)
    else:
        delta = project_ball(delta, epsilon, norm)
    return tf.clip_by_value(originals + delta, 0.0, 1.0)


def rounding_tolerance(epsilon: float, norm: Norm, num_entries: int) -> float:
    """By how much float32 rounding alone may lift a perturbation's norm above `epsilon`.

    Adding a perturbation to pixels in [0, 1] rounds each by at most 2**-24, and summing the
    norm itself has a relative error. Every check of a budget uses this bound and no other.

    Args:
        epsilon: Radius on the [0, 1] scale.
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`.
        num_entries: Pixels times channels of one image.
    """
    rounding = _HALF_ULP_OF_A_PIXEL * num_entries ** _ORDERS[norm]
    return float(rounding + _NORM_SUMMATION_ERROR * epsilon)


def _radii(epsilon: float | tf.Tensor, delta: tf.Tensor) -> tf.Tensor:
    return tf.broadcast_to(tf.cast(epsilon, delta.dtype), [tf.shape(delta)[0]])


def _rows(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [tf.shape(values)[0], -1])


def _excess_of_sizes(sizes: tf.Tensor, caps: tf.Tensor, radii: tf.Tensor) -> tf.Tensor:
    """By how much all sizes must shrink for their capped sum to be the radius, `(batch,)`.

    Args:
        sizes: Sizes of the entries, `(batch, entries)`, 0 or more.
        caps: Cap of each size, at most `sizes`, of the same shape.
        radii: Radii of the balls, `(batch,)`.
    """
    # An entry shrinks from `size - cap` to `size`; before that it stays at its cap.
    ends = tf.concat([sizes - caps, sizes], axis=1)
    order = tf.argsort(ends, axis=1)
    ends = tf.cast(tf.gather(ends, order, batch_dims=1), tf.float64)
    starts = tf.cast(order < tf.shape(sizes)[1], tf.float64)
    num_shrinking = tf.cumsum(2.0 * starts - 1.0, axis=1)
    lost = tf.cumsum(num_shrinking[:, :-1] * (ends[:, 1:] - ends[:, :-1]), axis=1)
    total = tf.reduce_sum(tf.cast(caps, tf.float64), axis=1, keepdims=True)
    excess = total - tf.cast(radii, tf.float64)[:, tf.newaxis]
    # The sum is still too large at the ends before this one; from there on it is a line.
    last = tf.reduce_sum(tf.cast(lost < excess, tf.int32), axis=1, keepdims=True)
    lost_before = tf.gather(tf.pad(lost, [[0, 0], [1, 0]]), last, batch_dims=1)
    beyond = (excess - lost_before) / tf.maximum(tf.gather(num_shrinking, last, batch_dims=1), 1.0)
    shrink = tf.gather(ends, last, batch_dims=1) + beyond
    return tf.cast(tf.where(excess > 0.0, shrink, 0.0), sizes.dtype)[:, 0]
