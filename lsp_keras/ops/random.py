"""Random draws that belong to an image, not to its place in a batch.

Every value is a hash of (seed, image index, counter, entry), computed for a whole batch at
once. An image therefore gets the same draws whatever the batch size, the order or the shard it
is evaluated in.

References:
    Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014:
    the finalizer of SplitMix64.
"""

import math

import tensorflow as tf

# Arithmetic is int64 because TensorFlow has no GPU kernel for every uint64 operation; two's
# complement wraps to the same bits. The constants are SplitMix64's, read as signed numbers.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_FIRST_MULTIPLIER = 0xBF58476D1CE4E5B9 - 2**64
_SECOND_MULTIPLIER = 0x94D049BB133111EB - 2**64
_MANTISSA_BITS = 24


def uniform(
    seed: int | tf.Tensor,
    indices: tf.Tensor,
    shape: tuple[int, ...],
    *,
    counter: int | tf.Tensor = 0,
    low: float = 0.0,
    high: float = 1.0,
) -> tf.Tensor:
    """Uniform draws in [low, high) for each image.

    Args:
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        shape: Shape of the draws for one image.
        counter: Number that tells draws for one image apart, such as the restart; or `(batch,)`,
            one for each image.
        low: Lower end.
        high: Upper end.

    Returns:
        float32 `(batch, *shape)`.
    """
    bits = _bits(seed, indices, shape, counter)
    fractions = tf.cast(_shift_right(bits, 64 - _MANTISSA_BITS), tf.float32)
    return low + (high - low) * fractions * 2.0**-_MANTISSA_BITS


def normal(
    seed: int | tf.Tensor,
    indices: tf.Tensor,
    shape: tuple[int, ...],
    *,
    counter: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Standard normal draws for each image, by Box and Muller's transform.

    Args:
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        shape: Shape of the draws for one image.
        counter: Number that tells draws for one image apart.

    Returns:
        float32 `(batch, *shape)`.
    """
    pairs = uniform(seed, indices, (2, *shape), counter=counter)
    # 1 - u lies in (0, 1], where the logarithm is finite.
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - pairs[:, 0]))
    return radius * tf.cos(2.0 * math.pi * pairs[:, 1])


def signs(
    seed: int | tf.Tensor,
    indices: tf.Tensor,
    shape: tuple[int, ...],
    *,
    counter: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Fair draws of -1 and +1 for each image.

    Args:
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        shape: Shape of the draws for one image.
        counter: Number that tells draws for one image apart.

    Returns:
        float32 `(batch, *shape)`.
    """
    bits = _bits(seed, indices, shape, counter)
    return 1.0 - 2.0 * tf.cast(_shift_right(bits, 63), tf.float32)


def symmetric_beta(
    seed: int | tf.Tensor,
    indices: tf.Tensor,
    shape: tuple[int, ...],
    *,
    concentration: float,
    counter: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Draws from Beta(concentration, concentration) for each image.

    The distribution function is inverted by bisection: one uniform draw gives one value on every
    device, and XLA compiles it, which it does not do for TensorFlow's gamma draws.

    Args:
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        shape: Shape of the draws for one image.
        concentration: Both parameters of the distribution, greater than zero; 1 gives uniform
            draws.
        counter: Number that tells draws for one image apart.

    Returns:
        float32 `(batch, *shape)` in (0, 1), to 24 bits.
    """
    levels = uniform(seed, indices, shape, counter=counter)
    parameter = tf.constant(concentration, tf.float32)

    def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle = 0.5 * (low + high)
        beyond = tf.math.betainc(parameter, parameter, middle) < levels
        return tf.where(beyond, middle, low), tf.where(beyond, high, middle)

    low, high = tf.while_loop(
        lambda low, high: tf.constant(True),
        halve,
        (tf.zeros_like(levels), tf.ones_like(levels)),
        maximum_iterations=_MANTISSA_BITS,
    )
    return 0.5 * (low + high)


def permutation(
    seed: int | tf.Tensor, indices: tf.Tensor, *, counter: int | tf.Tensor = 0
) -> tf.Tensor:
    """A random order of the images of one batch.

    Args:
        seed: Seed of the random draws, an integer.
        indices: Numbers that identify each image, int `(batch,)`.
        counter: Number that tells orders of one batch apart.

    Returns:
        int32 `(batch,)`, each place of the batch once.
    """
    return tf.argsort(uniform(seed, indices, (), counter=counter), stable=True)


def _bits(
    seed: int | tf.Tensor, indices: tf.Tensor, shape: tuple[int, ...], counter: int | tf.Tensor
) -> tf.Tensor:
    """64 random bits as int64 `(batch, *shape)`."""
    key = _mix(_mix(tf.cast(seed, tf.int64)) + tf.cast(counter, tf.int64))
    keys = _mix(key + tf.cast(indices, tf.int64) * _INCREMENT)
    entries = tf.range(1, math.prod(shape) + 1, dtype=tf.int64) * _INCREMENT
    bits = _mix(keys[:, tf.newaxis] + entries)
    return tf.reshape(bits, [-1, *shape])


def _mix(values: tf.Tensor) -> tf.Tensor:
    """SplitMix64's finalizer: every bit of the result depends on every bit of the value."""
    values = (values ^ _shift_right(values, 30)) * _FIRST_MULTIPLIER
    values = (values ^ _shift_right(values, 27)) * _SECOND_MULTIPLIER
    return values ^ _shift_right(values, 31)


def _shift_right(values: tf.Tensor, places: int) -> tf.Tensor:
    """Logical shift: zeros come in from the left, whatever the sign."""
    shifted = tf.bitwise.right_shift(values, tf.constant(places, tf.int64))
    return shifted & tf.constant(2 ** (64 - places) - 1, tf.int64)
