"""Shears, shifts and rotations of a batch, each image by a matrix of its own."""

import math

import tensorflow as tf


def identity(count: tf.Tensor) -> tf.Tensor:
    """Matrices that change nothing, float32 `(count, 6)`; see `resample`."""
    return tf.tile(tf.constant([[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]), [count, 1])


def shear_x(amounts: tf.Tensor) -> tf.Tensor:
    """Rows slide along x by `amounts` pixels for each pixel down; float32 `(batch, 6)`."""
    return _matrices([1.0, amounts, 0.0, 0.0, 1.0, 0.0])


def shear_y(amounts: tf.Tensor) -> tf.Tensor:
    """Columns slide along y by `amounts` pixels for each pixel to the right."""
    return _matrices([1.0, 0.0, 0.0, amounts, 1.0, 0.0])


def translate_x(pixels: tf.Tensor) -> tf.Tensor:
    """The image moves left by a number of pixels; float32 `(batch, 6)`."""
    return _matrices([1.0, 0.0, pixels, 0.0, 1.0, 0.0])


def translate_y(pixels: tf.Tensor) -> tf.Tensor:
    """The image moves up by a number of pixels; float32 `(batch, 6)`."""
    return _matrices([1.0, 0.0, 0.0, 0.0, 1.0, pixels])


def rotate(degrees: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """The image turns about its center, counterclockwise; float32 `(batch, 6)`.

    Args:
        degrees: Angles of the rotations in degrees, float32 `(batch,)`.
        size: Height and width in pixels.
    """
    angle = degrees * (math.pi / 180.0)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    y, x = 0.5 * size[0], 0.5 * size[1]
    return _matrices(
        [cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y]
    )


# TensorFlow's own gather takes ten times as long on a CPU as the one that XLA compiles.
@tf.function(jit_compile=True)
def resample(levels: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Bilinear samples of each image; black comes in from outside.

    Args:
        levels: Pixels, int32 `(batch, height, width, channels)` in [0, 255].
        matrices: Affine maps, float32 `(batch, 6)`: with a row a, b, c, d, e, f the pixel whose
            center is at (x, y) is taken from (a x + b y + c, d x + e y + f).

    Returns:
        As `levels`, rounded to the nearest level.
    """
    height, width = levels.shape[1:3]
    source_x, source_y = _source(matrices, height, width)
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    left, share_right = _corner(source_x)
    top, share_below = _corner(source_y)
    values = tf.cast(levels, tf.float32)

    def row_of_samples(row: tf.Tensor) -> tf.Tensor:
        first, second = (_pixels(values, row, left + step) for step in (0, 1))
        return first + share_right * (second - first)

    above, below = row_of_samples(top), row_of_samples(top + 1)
    samples = above + share_below * (below - above)
    return tf.where(inside[..., tf.newaxis], tf.cast(samples + 0.5, tf.int32), 0)


def _matrices(entries: list[tf.Tensor | float]) -> tf.Tensor:
    """Six columns, of which at least one is `(batch,)` and the others may be numbers."""
    like = next(entry for entry in entries if tf.is_tensor(entry))
    return tf.stack([entry * tf.ones_like(like) for entry in entries], axis=1)


def _source(matrices: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Where each pixel's center is taken from: x and y, float32 `(batch, height, width)`."""
    x = tf.range(width, dtype=tf.float32) + 0.5
    y = tf.range(height, dtype=tf.float32)[:, tf.newaxis] + 0.5
    a, b, c, d, e, f = (
        column[:, tf.newaxis, tf.newaxis] for column in tf.unstack(matrices, axis=1)
    )
    return a * x + b * y + c, d * x + e * y + f


def _corner(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The pixel whose center lies before each position, and the share of the next one."""
    from_center = positions - 0.5
    first = tf.floor(from_center)
    return tf.cast(first, tf.int32), (from_center - first)[..., tf.newaxis]


def _pixels(values: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Values at rows and columns, the nearest pixel where they lie outside."""
    height, width, channels = values.shape[1:]
    rows = tf.clip_by_value(rows, 0, height - 1)
    columns = tf.clip_by_value(columns, 0, width - 1)
    images = tf.range(tf.shape(values)[0])[:, tf.newaxis, tf.newaxis]
    places = (images * height + rows) * width + columns
    return tf.gather(tf.reshape(values, [-1, channels]), places)
