"""Running a compiled function over survivors in batches of a few fixed sizes."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.types import Examples, Floats

_LOGGER = logging.getLogger(__name__)
_DIGITS = 5

Arrays = Mapping[str, npt.NDArray[Any]]


def in_chunks(
    function: Callable[..., Mapping[str, Any]],
    batch: Examples,
    state: Arrays,
    batch_size: int,
    *arguments: int,
    on_rows: Callable[[int], None] = lambda _: None,
) -> dict[str, npt.NDArray[Any]]:
    """Calls the function on slices of the arrays and joins what it returns.

    A slice that does not fit the memory is halved, which changes no result since random draws
    belong to images.

    Args:
        function: Function of `(batch, state, *arguments)` that returns arrays `(rows, ...)` by
            name.
        batch: All rows.
        state: Arrays `(rows, ...)` by name.
        batch_size: Largest number of rows in a call.
        arguments: Arguments that are passed on.
        on_rows: Function that is called with the number of rows that are done.
    """
    parts, start, total = [], 0, len(batch)
    while start < total:
        rows = np.arange(start, min(start + batch_size, total))
        # Copies of the last row fill up to one of a few sizes; their results are cut off below.
        padded = np.pad(rows, (0, padded_size(len(rows), batch_size) - len(rows)), mode="edge")
        try:
            chunk = {key: value[padded] for key, value in state.items()}
            result = function(batch.select(padded), chunk, *arguments)
        except tf.errors.ResourceExhaustedError:
            if batch_size == 1:
                raise
            # The same rows again, in halves.
            batch_size = max(1, batch_size // 2)
            _LOGGER.warning("Out of memory: going on with batches of %d images.", batch_size)
            continue
        parts.append({key: value[: len(rows)] for key, value in result.items()})
        start += len(rows)
        on_rows(start)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def predict_in_chunks(
    predict: Callable[[Floats], Floats], images: Floats, batch_size: int
) -> Floats:
    """Logits of all images, as `in_chunks`."""
    labels = np.zeros(len(images), np.int64)
    return in_chunks(
        lambda batch, _: {"logits": predict(batch.images)},
        Examples(images, labels, labels),
        {},
        batch_size,
    )["logits"]


def padded_size(count: int, batch_size: int) -> int:
    """The smallest of a few fixed sizes up to `batch_size` that holds `count` rows.

    Fixed sizes let the device choose its algorithms once for each instead of once per count.
    These are the numbers of at most five binary digits before their zeros (1 to 32, 34, 36, ...,
    64, 68, ...), so that no size is more than a sixteenth too large.
    """
    # A power of two, of which at most 32 hold all rows.
    unit = 1 << max(0, (count - 1).bit_length() - _DIGITS)
    return min(-(-count // unit) * unit, batch_size)
