"""Resizing of uint8 images."""

import numpy as np

from lsp_keras.datasets._resize import resize


def test_halving_an_even_ramp_weighs_four_pixels():
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[..., 0] = 10 * np.arange(8)
    # The triangle of a low-pass filter twice as wide: weights 1, 3, 3, 1 of 8.
    row = resize(image, 4)[0, 0, :, 0]
    np.testing.assert_array_equal(row[1:3], [25, 45])


def test_thin_stripes_become_gray_not_black_or_white():
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :, ::2] = 254
    middle = resize(stripes, 8)[:, 2:-2, 2:-2]
    assert abs(middle.astype(int) - 127).max() <= 1


def test_values_are_rounded_and_stay_in_range():
    images = np.random.default_rng(0).integers(0, 2, (2, 5, 7, 3), dtype=np.uint8) * 255
    resized = resize(images, 9)
    assert resized.dtype == np.uint8
    assert resized.shape == (2, 9, 9, 3)
    np.testing.assert_array_equal(resize(images[:, :, :5], 5), images[:, :, :5])
