import logging

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.inference.chunks import in_chunks, padded_size
from lsp_keras.types import Examples

BATCH = Examples(np.zeros((11, 1, 1, 1), np.float32), np.arange(11), np.arange(11) * 2)


def test_counts_are_rounded_up_to_few_sizes_none_a_sixteenth_too_large() -> None:
    counts = np.arange(1, 101)
    sizes = np.array([padded_size(count, 100) for count in counts.tolist()])
    assert sorted(set(sizes)) == [
        *range(1, 33),
        *range(34, 65, 2),
        *range(68, 101, 4),
    ]
    assert (sizes >= counts).all()
    assert (sizes < (1.0 + 1.0 / 16.0) * counts).all()


def test_chunks_are_padded_called_and_joined_in_order() -> None:
    sizes = []

    def double(batch, state, plus):
        sizes.append(len(batch.labels))
        return {"value": batch.labels * 2 + state["offset"] + plus}

    result = in_chunks(double, BATCH, {"offset": np.arange(11) * 100}, 8, 1)
    np.testing.assert_array_equal(result["value"], np.arange(11) * 102 + 1)
    assert sizes == [8, 3]


def test_out_of_memory_halves_the_batch_and_says_so(caplog) -> None:
    sizes = []

    def limited(batch, _):
        sizes.append(len(batch.labels))
        if len(batch.labels) > 3:
            raise tf.errors.ResourceExhaustedError(None, None, "too large")
        return {"value": batch.indices}

    with caplog.at_level(logging.WARNING):
        result = in_chunks(limited, BATCH, {}, 11)
    np.testing.assert_array_equal(result["value"], BATCH.indices)
    assert sizes == [11, 5, 2, 2, 2, 2, 2, 1]
    assert "going on with batches of 2 images" in caplog.text


def test_one_image_that_does_not_fit_is_an_error() -> None:
    def never(batch, _):
        raise tf.errors.ResourceExhaustedError(None, None, "too large")

    with pytest.raises(tf.errors.ResourceExhaustedError):
        in_chunks(never, BATCH, {}, 11)
