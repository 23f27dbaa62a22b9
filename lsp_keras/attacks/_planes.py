"""Shortest moves inside the pixel box onto a plane."""

import tensorflow as tf

from lsp_keras.attacks._geometry import Geometry
from lsp_keras.ops.norms import expand


def move_to_plane(
    images: tf.Tensor, normal: tf.Tensor, gap: tf.Tensor, geometry: Geometry
) -> tf.Tensor:
    """Shortest move from each image to its plane that does not leave the pixel box.

    Args:
        images: `(batch, height, width, channels)` in [0, 1].
        normal: Normal vector of each image's plane, of the images' shape.
        gap: What `sum(normal * move)` must be, `(batch,)`.
        geometry: Geometry of the norm in which the move is shortest.

    Returns:
        The move, shaped like the images. Where the box holds no point of the plane, it goes as
        far as the box allows.
    """
    direction = tf.sign(normal) * expand(tf.sign(gap), normal)
    # How far each pixel can go to its side of the box, as the images.
    room = tf.where(direction > 0.0, 1.0 - images, images)
    return direction * geometry.shortest_move(tf.abs(normal), room, tf.abs(gap))
