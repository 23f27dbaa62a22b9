"""What decides where requests are decoded and answers are written."""

import numpy as np
import pytest

from lsp_keras.serving.execution.calls import SMALL_BYTES
from lsp_keras.serving.models.signatures import as_strings
from lsp_keras.serving.services.inference import _size

LARGE = b"a" * (SMALL_BYTES // 2 + 1)


@pytest.mark.parametrize(
    ("array", "is_small"),
    [
        (np.zeros((4, 1000), np.uint8), True),
        (np.zeros((5, 1000), np.uint8), False),
        (np.float32(1).reshape(()), True),
        (np.zeros((10_000, 0), np.float32), False),
        (np.zeros((0, 10), np.float32), True),
        (as_strings([b"a"] * 1000, (10, 100)), True),
        (as_strings([LARGE, LARGE], (2, 1)), False),
        (as_strings([LARGE * 2], ()), False),
    ],
)
def test_large_answers_are_told_from_small_ones(array, is_small: bool) -> None:
    assert (_size({"y": array, "z": np.zeros(1)}) <= SMALL_BYTES) == is_small
