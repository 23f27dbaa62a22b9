import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from lsp_keras.neighbors import nearest_among
from lsp_keras.neighbors import queries as _queries

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 4, 4, 3), np.uint8)
OTHERS = RNG.integers(0, 256, (50, 4, 4, 3), np.uint8)


def rows(images, normalize: bool) -> np.ndarray:
    flat = images.reshape(len(images), -1) / 255.0
    return flat / np.linalg.norm(flat, axis=1, keepdims=True) if normalize else flat


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("chunk", [3, 50])
def test_they_are_those_of_brute_force(normalize, chunk, monkeypatch) -> None:
    monkeypatch.setattr(_queries, "_CHUNK", chunk)
    found, distances = nearest_among(IMAGES, OTHERS, 5, normalize=normalize)
    reference = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(rows(OTHERS, normalize))
    expected, indices = reference.kneighbors(rows(IMAGES, normalize))
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


def test_an_encoder_is_asked_for_the_features() -> None:
    found, distances = nearest_among(
        np.full((1, 1, 1, 1), 100, np.uint8),
        np.array([0, 90, 255], np.uint8).reshape(3, 1, 1, 1),
        2,
        encode=lambda images: 255.0 * images.reshape(-1, 1),
        normalize=False,
    )
    assert found.tolist() == [[1, 0]]
    np.testing.assert_allclose(distances, [[10.0, 100.0]], rtol=1e-5)
