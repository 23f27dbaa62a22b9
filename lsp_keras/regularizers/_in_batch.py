"""Which images of a batch are an image's neighbors, and what stands in for them in a control."""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.ops import random
from lsp_keras.ops.distances import distances_within

NO_CONTROL = "none"
UNIFORM = "uniform"
SHUFFLED = "shuffled"
RANDOM = "random"


def batch_distances(features: tf.Tensor, control: str, seed: tf.Tensor) -> tf.Tensor:
    """Distances by which the batch's images are neighbors.

    Args:
        features: Features of a frozen encoder, float `(batch, dimensions)`.
        control: Control that leaves something out, as `LSP` takes it.
        seed: Seed of the random choice, an int64 scalar.

    Returns:
        float32 `(batch, batch)`; infinite where an image is no neighbor.
    """
    distances = distances_within(features)
    change = _CHANGES.get(control)
    return distances if change is None else change(distances, seed)


def nearest(distances: tf.Tensor, positions: list[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The neighbors at some places of each row's order.

    Args:
        distances: Distances of each anchor to the others, float `(batch, n)`.
        positions: Places counted from 0, ascending.

    Returns:
        int32 columns and float32 distances, both `(batch, len(positions))`.
    """
    negative, columns = tf.math.top_k(-distances, k=positions[-1] + 1)
    if len(positions) == positions[-1] + 1:
        return columns, -negative
    return tf.gather(columns, positions, axis=1), -tf.gather(negative, positions, axis=1)


def half_turn(values: tf.Tensor) -> tf.Tensor:
    """Rows moved by half a batch: no row is its own, nor in its own group of neighbors."""
    return tf.roll(values, tf.shape(values)[0] // 2, axis=0)


def _anothers(distances: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    moved = half_turn(distances)
    return tf.linalg.set_diag(moved, tf.fill(tf.shape(moved)[:1], float("inf")))


def _dealt(distances: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    rows = tf.range(tf.shape(distances)[0])
    keys = random.uniform(seed, rows, (), counter=_STREAM)
    order = tf.argsort(keys)
    return tf.gather(tf.gather(distances, order, axis=0), order, axis=1)


# Keeps these draws apart from others of the step.
_STREAM = 0x15B
_CHANGES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    SHUFFLED: _anothers,
    RANDOM: _dealt,
}
CONTROLS = (NO_CONTROL, UNIFORM, *_CHANGES)
