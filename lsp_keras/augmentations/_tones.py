"""Changes of tone as tables from old to new levels, one for each channel of each image.

A level is an integer in [0, 255]. Tables are int32 `(batch, channels, 256)`, or of a shape that
broadcasts to it.

References:
    Pillow's `ImageOps`, which defines the four operations.
"""

import tensorflow as tf

NUM_LEVELS = 256


def unchanged() -> tf.Tensor:
    """The table that maps each level to itself, int32 `(256,)`."""
    return tf.range(NUM_LEVELS)


def autocontrast(levels: tf.Tensor) -> tf.Tensor:
    """Stretches each channel so that its darkest pixel becomes 0 and its brightest 255.

    Args:
        levels: Pixels, int32 `(batch, height, width, channels)` in [0, 255].
    """
    low = tf.reduce_min(levels, axis=(1, 2))[..., tf.newaxis]
    high = tf.reduce_max(levels, axis=(1, 2))[..., tf.newaxis]
    stretched = 255 * (unchanged() - low) // tf.maximum(high - low, 1)
    return tf.where(high > low, tf.clip_by_value(stretched, 0, 255), unchanged())


def equalize(levels: tf.Tensor) -> tf.Tensor:
    """Spreads the levels of each channel so that all are about equally frequent.

    Args:
        levels: Pixels, int32 `(batch, height, width, channels)` in [0, 255].
    """
    counts = histogram(levels)
    brightest = tf.reduce_max(levels, axis=(1, 2))[..., tf.newaxis]
    others = tf.reduce_sum(tf.where(unchanged() < brightest, counts, 0), axis=2, keepdims=True)
    step = others // 255
    darker = tf.cumsum(counts, axis=2, exclusive=True)
    spread = tf.minimum((darker + step // 2) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, spread, unchanged())


def posterize(bits: tf.Tensor) -> tf.Tensor:
    """Keeps the leading bits of each level.

    Args:
        bits: Number of leading bits that are kept, int32 `(batch,)` in [0, 8].
    """
    steps = tf.bitwise.left_shift(tf.ones_like(bits), 8 - bits)[:, tf.newaxis, tf.newaxis]
    return unchanged() // steps * steps


def solarize(threshold: tf.Tensor) -> tf.Tensor:
    """Inverts the levels from a threshold on.

    Args:
        threshold: Level from which pixels are inverted, int32 `(batch,)`.
    """
    kept = unchanged() < threshold[:, tf.newaxis, tf.newaxis]
    return tf.where(kept, unchanged(), 255 - unchanged())


def histogram(levels: tf.Tensor) -> tf.Tensor:
    """How many pixels of each channel have each level, int32 `(batch, channels, 256)`.

    Args:
        levels: Pixels, int32 `(batch, height, width, channels)` in [0, 255].
    """
    channels = levels.shape[-1]
    places = tf.reshape(_places(levels), [-1])
    size = tf.shape(levels)[0] * (channels * NUM_LEVELS)
    # Sums of whole numbers are exact in every order, and floats have a kernel on every device.
    counts = tf.math.unsorted_segment_sum(tf.ones_like(places, tf.float32), places, size)
    return tf.reshape(tf.cast(counts, tf.int32), [-1, channels, NUM_LEVELS])


# TensorFlow's own gather takes ten times as long on a CPU as the one that XLA compiles.
@tf.function(jit_compile=True)
def look_up(levels: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """New levels, int32 of the shape of `levels`.

    Args:
        levels: Pixels, int32 `(batch, height, width, channels)` in [0, 255].
        tables: Tables of new values for the old ones, int32 `(batch, channels, 256)`.
    """
    return tf.gather(tf.reshape(tables, [-1]), _places(levels))


def _places(levels: tf.Tensor) -> tf.Tensor:
    """Where each pixel's level stands in the flattened tables; int32, shaped as `levels`."""
    channels = levels.shape[-1]
    images = tf.range(tf.shape(levels)[0])[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return (images * channels + tf.range(channels)) * NUM_LEVELS + levels
