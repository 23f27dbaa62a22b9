"""Features: rows of embeddings are matched with images."""

import numpy as np
import pytest

from lsp_keras.neighbors import embeddings_source
from lsp_keras.types import Examples
from lsp_keras.validation import InputError

SPLIT = Examples(np.zeros((3, 2, 2, 3), np.uint8), np.zeros(3, np.int64), np.array([4, 0, 2]))


def test_embeddings_of_the_whole_split_are_cut_to_the_training_images() -> None:
    whole = np.arange(5, dtype=np.float32)[:, None]
    source = embeddings_source(whole, SPLIT, num_source=5)
    assert source.embeddings is not None
    assert source.embeddings[:, 0].tolist() == [4, 0, 2]
    assert source.fingerprint == embeddings_source(whole[[4, 0, 2]], SPLIT, 5).fingerprint
    assert source.fingerprint != embeddings_source(whole[[0, 4, 2]], SPLIT, 5).fingerprint


def test_other_numbers_of_rows_are_refused() -> None:
    with pytest.raises(InputError, match=r"each of the 3 .* each of the 5 .*Received: 4 rows"):
        embeddings_source(np.zeros((4, 2)), SPLIT, num_source=5)
