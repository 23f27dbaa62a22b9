"""Neighbors for the user's own pipeline."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.datasets._pipeline import check_table
from lsp_keras.storage import fingerprint
from lsp_keras.types import NeighborTable
from lsp_keras.validation import InputError


def attach(
    batches: tf.data.Dataset,
    table: NeighborTable,
    images: npt.NDArray[Any],
    *,
    transform: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """Adds to batches of any pipeline the neighbors of their images.

    What a trainer with a term on neighbors takes are batches as `make_batches` makes them. A
    pipeline of the user's own needs to say only which row of the table each image is, which
    `tf.data.Dataset.enumerate` does where images come in the order in which they were mined.

    Args:
        batches: Dictionaries with `indices`, int `(batch,)`, the rows of the table, besides
            `images` and `labels`; or pairs of indices and `(images, labels)`, as an enumerated
            dataset gives them once it is batched.
        table: Neighbors, for instance of `lsp_keras.neighbors.mine`.
        images: The images that the table was mined from, `(n, height, width, channels)`.
        transform: Function that maps neighbor images, float32 in [0, 1] of shape
            `(batch * m, height, width, channels)`, to what the model takes, as the pipeline does
            with its images; default nothing.

    Returns:
        Dictionaries with `neighbor_images` and `neighbor_distances` too.

    Raises:
        InputError: The table was made from other images, or batches have no indices.

    Example:
        >>> import lsp_keras.datasets, lsp_keras.neighbors
        >>> split = lsp_keras.datasets.load("digits", num_train=100).train
        >>> table = lsp_keras.neighbors.mine(split.images)
        >>> own = tf.data.Dataset.from_tensor_slices((split.images / 255, split.labels))
        >>> batches = attach(own.enumerate().shuffle(100).batch(20), table, split.images)
        >>> next(iter(batches))["neighbor_images"].shape
        TensorShape([20, 8, 16, 16, 3])
    """
    check_table(table, len(images))
    if table.provenance.get("images", fingerprint(images)) != fingerprint(images):
        raise InputError(
            "The neighbor table was made from other images than these. Mine their neighbors."
        )
    _check_elements(batches.element_spec)
    count, shape = table.num_neighbors, images.shape[1:]

    def gather(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        return images[table.indices[rows]], table.distances[rows]

    def add(*element: Any) -> dict[str, tf.Tensor]:
        batch = _as_dictionary(element)
        indices = tf.cast(batch["indices"], tf.int64)
        neighbors, distances = tf.numpy_function(
            gather, [indices], [tf.as_dtype(images.dtype), tf.float32], stateful=False
        )
        pixels = tf.reshape(tf.cast(neighbors, tf.float32), [-1, *shape])
        pixels = pixels / 255.0 if images.dtype == np.uint8 else pixels
        pixels = pixels if transform is None else transform(pixels)
        size = indices.shape[0]
        distances.set_shape((size, count))
        neighbors = tf.reshape(pixels, [-1, count, *pixels.shape[1:]])
        neighbors.set_shape((size, *neighbors.shape[1:]))
        return {**batch, "neighbor_images": neighbors, "neighbor_distances": distances}

    added = batches.map(add, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return added.prefetch(tf.data.AUTOTUNE)


def _as_dictionary(element: tuple[Any, ...]) -> dict[str, tf.Tensor]:
    if len(element) == 1:
        return dict(element[0])
    indices, (images, labels) = element
    return {"images": images, "labels": labels, "indices": indices}


def _check_elements(spec: Any) -> None:
    pairs = isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[1], tuple)
    named = isinstance(spec, dict) and {"images", "labels", "indices"} <= set(spec)
    if not named and not (pairs and len(spec[1]) == 2):
        raise InputError(
            "Batches must be dictionaries of images, labels and indices, or enumerated pairs of "
            f"images and labels: dataset.enumerate().batch(...). Received: {spec}."
        )
