"""Fresh neighbors as batches bring them."""

from typing import Any

import tensorflow as tf

from lsp_keras.regularizers._base import Batch
from lsp_keras.validation import InputError


def flat_neighbors(batch: Batch) -> tf.Tensor:
    """`(batch * m, height, width, channels)`."""
    if "neighbor_images" not in batch or "neighbor_distances" not in batch:
        raise missing_entries(batch, "neighbor_images` and `neighbor_distances", "neighbors")
    images = batch["neighbor_images"]
    return tf.reshape(images, [-1, *images.shape[2:]])


def missing_entries(batch: Batch, entries: str, argument: str) -> InputError:
    """The error of a batch without something that LSP needs.

    Args:
        batch: Batch that came.
        entries: Names of the entries that it lacks.
        argument: Argument of `make_batches` that adds them.
    """
    return InputError(
        f"LSP needs batches with `{entries}` of each image. "
        f"Received: {', '.join(sorted(batch))}. "
        f"Pass `{argument}=` to `lsp_keras.datasets.make_batches`."
    )


def sizes_of(values: tf.Tensor) -> list[Any]:
    """Rows and columns, as numbers where they are known."""
    dynamic = tf.shape(values)
    return [size or dynamic[axis] for axis, size in enumerate(values.shape)]
