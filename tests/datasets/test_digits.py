"""The embedded digits: scikit-learn's images, resized once."""

import numpy as np
from sklearn.datasets import load_digits

from lsp_keras.datasets import load


def doubling() -> np.ndarray:
    """Bilinear interpolation from 8 to 16 pixels as a matrix: weights 3/4 and 1/4."""
    weights = np.zeros((16, 8))
    for pixel in range(16):
        nearer = pixel // 2
        farther = np.clip(nearer + (1 if pixel % 2 else -1), 0, 7)
        weights[pixel, nearer] += 0.75
        weights[pixel, farther] += 0.25
    return weights


def test_images_are_scikit_learns_at_twice_the_size():
    dataset, bunch = load("digits"), load_digits()
    assert dataset.info.image_shape == (16, 16, 3)
    for split in (dataset.train, dataset.validation, dataset.test):
        np.testing.assert_array_equal(split.labels, bunch.target[split.indices])
        gray = np.rint(bunch.images[split.indices] * 255 / 16)
        expected = doubling() @ gray @ doubling().T
        for channel in range(3):
            difference = split.images[..., channel] - expected
            assert np.abs(difference).max() <= 0.5


def test_at_their_own_size_the_17_levels_fill_the_range_of_a_byte():
    dataset, bunch = load("digits", image_size=(8, 8)), load_digits()
    expected = np.rint(bunch.images[dataset.test.indices] / 16 * 255)
    np.testing.assert_array_equal(dataset.test.images[..., 1], expected)


def test_a_fifth_of_each_digit_is_tested_on():
    dataset, bunch = load("digits"), load_digits()
    tested = np.bincount(dataset.test.labels)
    np.testing.assert_array_equal(tested, np.round(np.bincount(bunch.target) / 5))
    assert dict(dataset.info.split_sizes) == {"train": 1438, "test": 359}


def test_mirrored_digits_are_not_trained_on():
    assert load("digits").info.augmentation == "crop"
