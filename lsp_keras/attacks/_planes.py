"""Shortest moves inside the pixel box onto a plane."""

import tensorflow as tf

from lsp_keras.attacks._geometry import Geometry
from lsp_keras.ops.norms import expand

# Newton's steps on a concave piecewise linear function end after finitely many; ten are common.
_MOST_STEPS = 40
_RELATIVE_PRECISION = 1e-6


def move_to_plane(
    images: tf.Tensor, normal: tf.Tensor, gap: tf.Tensor, geometry: Geometry
) -> tf.Tensor:
    """Shortest move from each image to its plane that does not leave the pixel box.

    In the L-inf and L2 norms every entry of the move is `min(scale * rate, room)` towards the
    plane, where `room` is how far the entry may go before it leaves the box. What the move
    gains is a concave piecewise linear function of the scale, so Newton's method from 0 climbs
    to the solution without passing it.

    Args:
        images: `(batch, height, width, channels)` in [0, 1].
        normal: Of the plane, likewise.
        gap: What `sum(normal * move)` must be, `(batch,)`.
        geometry: Of the norm in which the move is shortest.

    Returns:
        The move, shaped like the images. Where the box holds no point of the plane, it goes as
        far as the box allows.
    """
    direction = tf.sign(normal) * expand(tf.sign(gap), normal)
    room = tf.where(direction > 0.0, 1.0 - images, images)
    room = tf.where(direction == 0.0, 0.0, room)
    weights, rates, needed = tf.abs(normal), geometry.rates(normal), tf.abs(gap)

    def gain_and_slope(scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        wanted = expand(scale, images) * rates
        gain = tf.reduce_sum(weights * tf.minimum(wanted, room), axis=[1, 2, 3])
        free = tf.where(wanted < room, weights * rates, 0.0)
        return gain, tf.reduce_sum(free, axis=[1, 2, 3])

    def newton(
        count: tf.Tensor, scale: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        gain, slope = gain_and_slope(scale)
        missing = needed - gain
        unfinished = (missing > _RELATIVE_PRECISION * needed) & (slope > 0.0)
        return (
            count + 1,
            scale + tf.where(unfinished, tf.math.divide_no_nan(missing, slope), 0.0),
            tf.reduce_any(unfinished),
        )

    scale = tf.while_loop(
        lambda count, _, unfinished: unfinished & (count < _MOST_STEPS),
        newton,
        (tf.constant(0), tf.zeros_like(gap), tf.constant(True)),
    )[1]
    gain, _ = gain_and_slope(scale)
    reached = expand(gain >= needed * (1.0 - 10.0 * _RELATIVE_PRECISION), images)
    return direction * tf.where(reached, tf.minimum(expand(scale, images) * rates, room), room)
