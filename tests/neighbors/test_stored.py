from pathlib import Path

import numpy as np
import pytest

from lsp_keras.neighbors import (
    FeatureSource,
    MiningSettings,
    features_path,
    find_features,
    load_features,
    save_features,
    table_path,
)
from lsp_keras.validation import InputError


def distances(rows: np.ndarray) -> np.ndarray:
    """Distances between all rows, the largest of which is 1: what shift and scale leave."""
    found = np.asarray(rows, np.float64)
    every = np.linalg.norm(found[:, None] - found[None], axis=2)
    return every / every.max()


def test_are_computed_once_and_lie_beside_their_table(tmp_path: Path, pictures: np.ndarray) -> None:
    calls = []

    def encode(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        return images.reshape(len(images), -1)[:, :5]

    source = FeatureSource("encoder.keras", "a1", encode=encode)
    first, second = (
        find_features(pictures, MiningSettings(), source, cache_dir=tmp_path) for _ in range(2)
    )
    assert calls == [len(pictures)]
    path = features_path(table_path(pictures, MiningSettings(), source, cache_dir=tmp_path))
    assert path.exists()
    assert isinstance(second, np.memmap)
    assert second.dtype == np.float16
    expected = pictures.reshape(len(pictures), -1)[:, :5] / 255
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(distances(first), distances(expected), rtol=0.01)


def test_the_users_rows_are_kept_as_they_are_asked_for(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float64).reshape(4, 3) + 1
    source = FeatureSource("embeddings", "b", embeddings=rows)
    settings = MiningSettings(normalize=False)
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    found = find_features(images, settings, source, cache_dir=tmp_path)
    np.testing.assert_allclose(distances(found), distances(rows), rtol=1e-3)


def test_small_differences_of_large_values_survive_half_precision(tmp_path: Path) -> None:
    rows = 1000 + 0.01 * np.random.default_rng(0).normal(size=(20, 8))
    source = FeatureSource("embeddings", "c", embeddings=rows)
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    settings = MiningSettings(normalize=False)
    found = find_features(images, settings, source, cache_dir=tmp_path)
    np.testing.assert_allclose(distances(found), distances(rows), atol=2e-3)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
def test_ratios_of_distances_survive_half_precision(tmp_path: Path, scale: float) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32) * np.float32(scale)
    save_features(tmp_path / "f.npy", rows)
    found = load_features(tmp_path / "f.npy", 6).astype(np.float64)

    def shares(rows: np.ndarray) -> np.ndarray:
        distances = np.linalg.norm(rows[1:] - rows[0], axis=1)
        return distances / distances.sum()

    assert np.isfinite(found).all()
    np.testing.assert_allclose(shares(found), shares(rows.astype(np.float64)), rtol=1e-3)


def test_missing_damaged_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "f.npy"
    with pytest.raises(InputError, match=r"no stored features.*--keep-features"):
        load_features(path, 3)
    save_features(path, np.zeros((4, 2), np.float32))
    with pytest.raises(InputError, match="not hold features of these 3 images"):
        load_features(path, 3)
    path.write_bytes(b"not an array")
    with pytest.raises(InputError, match="no stored features"):
        load_features(path, 4)


def test_a_damaged_file_of_the_cache_is_made_again(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float64).reshape(4, 3) + 1
    source = FeatureSource("embeddings", "d", embeddings=rows)
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    settings = MiningSettings(normalize=False)
    found = np.array(find_features(images, settings, source, cache_dir=tmp_path))
    path = features_path(table_path(images, settings, source, cache_dir=tmp_path))
    whole = path.read_bytes()
    # One bit of the header, at which NumPy ends in an error of Python's tokenizer; the type.
    for damaged in (whole.replace(b"}", b"|", 1), whole.replace(b"<f2", b"<i2"), whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            load_features(path, 4)
        again = find_features(images, settings, source, cache_dir=tmp_path)
        np.testing.assert_array_equal(again, found)
        assert path.read_bytes() == whole
