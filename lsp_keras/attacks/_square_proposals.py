"""Starts and proposals of the square attack under each norm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from lsp_keras.ops import random
from lsp_keras.ops.norms import expand, l1_norm, l2_norm
from lsp_keras.ops.projections import project
from lsp_keras.types import Norm

_TILES = 5
_SMALLEST_LENGTH = 1e-12
_NUM_STREAMS = 8


@dataclass(frozen=True)
class Draws:
    """Random draws of one query, each kind from a stream of its own.

    Attributes:
        seed: Seed of the attack's random draws, an int64 scalar.
        indices: Numbers that identify each image, int64 `(batch,)`.
        counter: Number of the query, an int64 scalar.
    """

    seed: tf.Tensor
    indices: tf.Tensor
    counter: tf.Tensor

    def signs(self, stream: int, shape: tuple[int, ...]) -> tf.Tensor:
        """-1 or +1, `(batch, *shape)`."""
        counter = self.counter * _NUM_STREAMS + stream
        return random.signs(self.seed, self.indices, shape, counter=counter)

    def uniform(self, stream: int, shape: tuple[int, ...]) -> tf.Tensor:
        """In [0, 1), `(batch, *shape)`."""
        counter = self.counter * _NUM_STREAMS + stream
        return random.uniform(self.seed, self.indices, shape, counter=counter)


def linf_start(images: tf.Tensor, epsilon: float, draws: Draws) -> tf.Tensor:
    """Vertical stripes of plus and minus epsilon."""
    _, width, channels = images.shape[1:]
    return tf.clip_by_value(images + epsilon * draws.signs(0, (1, width, channels)), 0.0, 1.0)


def linf_proposal(
    images: tf.Tensor, current: tf.Tensor, epsilon: float, side: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """The current images with one square set to plus or minus epsilon in each channel.

    Args:
        images: The originals `(batch, height, width, channels)`.
        current: The best images so far.
        epsilon: Radius.
        side: Side of the square, int scalar.
        draws: Random draws of this query.
    """
    square = square_mask(images, side, draws, stream=0)
    signs = draws.signs(1, (1, 1, images.shape[3]))
    # Twice epsilon reaches the far face of the ball from wherever the pixel is.
    return project(current + 2.0 * epsilon * signs * square, images, epsilon, "linf")


def square_mask(images: tf.Tensor, side: tf.Tensor, draws: Draws, *, stream: int) -> tf.Tensor:
    """1 in a square at a random place of each image, else 0; `(batch, height, width, 1)`."""
    return square_at(images, side, *corner(images, side, draws, stream=stream))


def corner(
    images: tf.Tensor, side: tf.Tensor, draws: Draws, *, stream: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Random top and left end of a square inside each image, int `(batch,)` each."""
    places = draws.uniform(stream, (2,))
    height, width = images.shape[1:3]
    # Each of the height - side + 1 places is equally likely; draws lie below 1.
    top = tf.cast(places[:, 0] * tf.cast(height - side + 1, tf.float32), tf.int32)
    left = tf.cast(places[:, 1] * tf.cast(width - side + 1, tf.float32), tf.int32)
    return top, left


def l2_start(images: tf.Tensor, epsilon: float, draws: Draws) -> tf.Tensor:
    """A grid of tiles as long as epsilon."""
    return _on_sphere(images, grid_of_tiles(images, draws), epsilon)


def l1_start(images: tf.Tensor, epsilon: float, draws: Draws) -> tf.Tensor:
    """A grid of tiles, projected onto ball and box."""
    return project(images + grid_of_tiles(images, draws), images, epsilon, "l1")


def grid_of_tiles(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """A grid of five by five tiles, each a pair of pyramids with random signs."""
    height, width, channels = images.shape[1:]
    side = max(height // _TILES, 1)
    rows, columns = height // side, width // side
    # (1, 1, side, side), and the same turned by a quarter.
    tile = pyramid_pair(tf.constant(side), side)[tf.newaxis, tf.newaxis]
    turned = tf.transpose(tile, [0, 1, 3, 2])
    upright = draws.uniform(1, (rows, columns))[:, :, :, tf.newaxis, tf.newaxis] < 0.5
    tiles = tf.where(upright, tile[tf.newaxis], turned[tf.newaxis])
    signs = draws.signs(0, (rows, columns, channels))
    # (batch, rows, columns, side, side, channels) to (batch, rows * side, columns * side, ...)
    grid = tiles[..., tf.newaxis] * signs[:, :, :, tf.newaxis, tf.newaxis, :]
    grid = tf.transpose(grid, [0, 1, 3, 2, 4, 5])
    grid = tf.reshape(grid, [-1, rows * side, columns * side, channels])
    # What the grid leaves free is shared between both sides.
    above, before = (height - rows * side) // 2, (width - columns * side) // 2
    below, behind = height - rows * side - above, width - columns * side - before
    return tf.pad(grid, [[0, 0], [above, below], [before, behind], [0, 0]])


def l2_proposal(
    images: tf.Tensor, current: tf.Tensor, epsilon: float, side: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """Moves the length of one window, and what is left of epsilon, into another.

    Args:
        images: The originals `(batch, height, width, channels)`.
        current: The best images so far.
        epsilon: Radius.
        side: Side of both windows, odd, int scalar.
        draws: Random draws of this query.

    References:
        Andriushchenko et al., 2020, Algorithm 3.
    """
    delta = current - images
    windows = Windows.draw(images, side, draws)
    # What both windows hold, and what is left of epsilon, (batch,).
    unused = tf.maximum(epsilon**2 - tf.square(l2_norm(delta)), 0.0)
    # Each channel gets its part of what is left; (batch, 1, 1, channels) after the product.
    budget = unused / images.shape[3] + tf.square(l2_norm(delta * windows.both))
    # The pyramids and what the window held, at that length; the other window is emptied.
    fresh = windows.refilled(delta, _window_length) * expand(tf.sqrt(budget), images)
    return _on_sphere(images, delta * (1.0 - windows.both) + fresh, epsilon)


def l1_proposal(
    images: tf.Tensor, current: tf.Tensor, epsilon: float, side: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """As `l2_proposal` with sums of absolute entries for lengths, projected onto ball and box.

    Each channel gets the length of all, and the projection cuts off the smaller entries of
    them: what is left is sparse.

    References:
        Croce and Hein, Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image
        Classifiers, ICML 2021, Section 5.
    """
    delta = current - images
    windows = Windows.draw(images, side, draws)
    # As under L2, lengths being sums, (batch,).
    unused = tf.maximum(epsilon - l1_norm(delta), 0.0)
    budget = unused + images.shape[3] * l1_norm(delta * windows.both)
    fresh = windows.refilled(delta, _window_sum) * expand(budget, images)
    return project(images + delta * (1.0 - windows.both) + fresh, images, epsilon, "l1")


@dataclass(frozen=True)
class Windows:
    """Two squares of each image, one to fill and one to empty.

    Attributes:
        into: Mask of the square to fill, `(batch, height, width, 1)`: 1 in it, else 0.
        both: Mask of both squares, of the same shape.
        shape: A pair of pyramids with random signs in the square to fill.
    """

    into: tf.Tensor
    both: tf.Tensor
    shape: tf.Tensor

    @classmethod
    def draw(cls, images: tf.Tensor, side: tf.Tensor, draws: Draws) -> "Windows":
        """Random squares with this side."""
        top, left = corner(images, side, draws, stream=0)
        into = square_at(images, side, top, left)
        both = tf.maximum(into, square_mask(images, side, draws, stream=1))
        signs = draws.signs(2, (1, 1, images.shape[3]))
        return cls(into, both, _placed_pyramids(images, side, top, left, draws) * signs)

    def refilled(self, delta: tf.Tensor, measure: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """The pyramids added to what the square holds, each channel at length 1."""
        # Algorithm 3: the new shape and what the square held weigh alike, each at length 1.
        old = delta * self.into
        fresh = self.shape + old / (measure(old) + _SMALLEST_LENGTH)
        return fresh / (measure(fresh) + _SMALLEST_LENGTH)


def square_at(images: tf.Tensor, side: tf.Tensor, top: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    """1 in the square with this corner, else 0; `(batch, height, width, 1)`."""
    rows = _interval(top, side, images.shape[1])
    columns = _interval(left, side, images.shape[2])
    return rows[:, :, tf.newaxis, tf.newaxis] * columns[:, tf.newaxis, :, tf.newaxis]


def _placed_pyramids(
    images: tf.Tensor, side: tf.Tensor, top: tf.Tensor, left: tf.Tensor, draws: Draws
) -> tf.Tensor:
    """A pair of pyramids in the square with this corner, upright or turned."""
    height, width = images.shape[1:3]
    size = max(height, width)
    pair = pyramid_pair(side, size)
    # Each pixel's place within the square, (batch, height, width); turned squares swap the axes.
    down = tf.range(height)[tf.newaxis, :, tf.newaxis] - top[:, tf.newaxis, tf.newaxis]
    across = tf.range(width)[tf.newaxis, tf.newaxis, :] - left[:, tf.newaxis, tf.newaxis]
    upright = draws.uniform(3, (1, 1)) < 0.5
    row = tf.where(upright, down, across)
    column = tf.where(upright, across, down)
    inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
    place = tf.where(inside, row * size + column, 0)
    values = tf.gather(tf.reshape(pair, [-1]), place)
    return tf.where(inside, values, 0.0)[..., tf.newaxis]


def pyramid_pair(side: tf.Tensor, size: int) -> tf.Tensor:
    """An upper pyramid and a negative lower one, of length 1, in the corner of a canvas.

    Args:
        side: Side of the square that both fill, int scalar.
        size: Side of the canvas.

    Returns:
        float32 `(size, size)`, zero outside of the square.

    References:
        Andriushchenko et al., 2020, Eq. 2: rings of height sum of 1 / (k + 1)^2.
    """
    # Two pyramids of half the height each, one above the other, the lower one negative.
    upper = side // 2
    row = tf.range(size)[:, tf.newaxis]
    column = tf.range(size)[tf.newaxis, :]
    top = _pyramid(row, column, upper, side, size)
    bottom = _pyramid(row - upper, column, side - upper, side, size)
    inside = (row < side) & (column < side)
    pair = tf.where(row < upper, _unit(top), -_unit(bottom))
    return _unit(tf.where(inside, pair, 0.0))


def _pyramid(
    row: tf.Tensor, column: tf.Tensor, height: tf.Tensor, width: tf.Tensor, size: int
) -> tf.Tensor:
    """Rings around the middle of a `height` by `width` rectangle, zero outside of it."""
    middle_row, middle_column = height // 2, width // 2
    # Chebyshev distance from the middle, (size, size).
    ring = tf.maximum(tf.abs(row - middle_row), tf.abs(column - middle_column))
    num_rings = tf.maximum(middle_row, middle_column) + 1
    # A pixel on ring r lies under all squares from the r-th on.
    numbers = tf.range(1, size + 2)
    heights = tf.where(numbers <= num_rings, 1.0 / tf.cast(numbers, tf.float32) ** 2, 0.0)
    tails = tf.cumsum(heights, reverse=True)
    inside = (row >= 0) & (row < height) & (column < width)
    return tf.where(inside, tf.gather(tails, tf.minimum(ring, size)), 0.0)


def _unit(values: tf.Tensor) -> tf.Tensor:
    return values / tf.maximum(tf.sqrt(tf.reduce_sum(tf.square(values))), _SMALLEST_LENGTH)


def _on_sphere(images: tf.Tensor, delta: tf.Tensor, epsilon: float) -> tf.Tensor:
    lengths = expand(l2_norm(delta), delta) + _SMALLEST_LENGTH
    return tf.clip_by_value(images + epsilon * delta / lengths, 0.0, 1.0)


def _window_length(window: tf.Tensor) -> tf.Tensor:
    """Length of each channel, `(batch, 1, 1, channels)`."""
    return tf.sqrt(tf.reduce_sum(tf.square(window), axis=[1, 2], keepdims=True))


def _window_sum(window: tf.Tensor) -> tf.Tensor:
    """Sum of each channel's absolute entries, `(batch, 1, 1, channels)`."""
    return tf.reduce_sum(tf.abs(window), axis=[1, 2], keepdims=True)


def _interval(start: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    """1 from `start` on for `length` places, else 0; float32 `(batch, size)`."""
    places = tf.range(size)[tf.newaxis, :] - start[:, tf.newaxis]
    return tf.cast((places >= 0) & (places < length), tf.float32)


STARTS: Mapping[Norm, Callable[..., tf.Tensor]] = {
    "linf": linf_start,
    "l2": l2_start,
    "l1": l1_start,
}
PROPOSALS: Mapping[Norm, Callable[..., tf.Tensor]] = {
    "linf": linf_proposal,
    "l2": l2_proposal,
    "l1": l1_proposal,
}
