"""Images brought to one size."""

import numpy as np
import pytest

from lsp_keras.ops.resizing import MODES, fit_images, parse_size
from lsp_keras.validation import InputError


@pytest.mark.parametrize("mode", MODES)
def test_halving_an_even_ramp_weighs_four_pixels(mode):
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[..., 0] = 10 * np.arange(8)
    # The triangle of a low-pass filter twice as wide: weights 1, 3, 3, 1 of 8.
    row = fit_images(image, (4, 4), mode)[0, 0, :, 0]
    np.testing.assert_array_equal(row[1:3], [25, 45])


def test_thin_stripes_become_gray_not_black_or_white():
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :, ::2] = 254
    middle = fit_images(stripes, (8, 8))[:, 2:-2, 2:-2]
    assert abs(middle.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_values_are_rounded_and_an_equal_size_changes_nothing(mode):
    images = np.random.default_rng(0).integers(0, 2, (2, 5, 7, 3), dtype=np.uint8) * 255
    resized = fit_images(images, (9, 9), mode)
    assert resized.dtype == np.uint8
    assert resized.shape == (2, 9, 9, 3)
    np.testing.assert_array_equal(fit_images(images, (5, 7), mode), images)


@pytest.mark.parametrize("transposed", [False, True])
def test_cropping_keeps_the_middle_and_padding_keeps_all(transposed):
    image = np.zeros((1, 4, 12, 1), np.uint8)
    image[0, :, :, 0] = 10 * np.arange(1, 13)
    middle = image[:, :, 4:8]
    padded = np.zeros((1, 12, 12, 1), np.uint8)
    padded[:, 4:8] = image
    if transposed:
        image, middle, padded = (part.swapaxes(1, 2) for part in (image, middle, padded))
    np.testing.assert_array_equal(fit_images(image, (4, 4), "crop"), middle)
    np.testing.assert_array_equal(fit_images(image, (12, 12), "pad"), padded)


def test_a_long_strip_still_gives_a_picture():
    strip = np.full((1, 1, 500, 3), 7, np.uint8)
    assert (fit_images(strip, (16, 20), "crop") == 7).all()
    assert (fit_images(strip, (16, 20), "pad") == 7).any(axis=(1, 2, 3)).all()


def test_sizes_are_read_from_text():
    assert parse_size("48x64") == parse_size("48X64") == (48, 64)
    assert parse_size(32) == parse_size("32") == (32, 32)
    for text in ("", "x", "48x", "x48", "-1", "0", "48x0", "20x20x20", "big", "4097", "9" * 5000):
        with pytest.raises(InputError, match="must be HEIGHTxWIDTH or one number"):
            parse_size(text)


@pytest.mark.parametrize("text", ["15", 15, "15x16", "16x15", "016x0015", "1", "4097x16"])
def test_sizes_that_models_do_not_take_are_refused(text):
    with pytest.raises(InputError, match=f"from 16 to 4096. Received: {text!r}"):
        parse_size(text)
