"""Tables of tones: by hand, and against Pillow, which defines them."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from lsp_keras.augmentations import _tones

RNG = np.random.default_rng(0)
IMAGES = np.stack(
    [
        RNG.integers(0, 256, size=(16, 20, 3)),
        RNG.integers(60, 130, size=(16, 20, 3)),
        RNG.integers(7, 9, size=(16, 20, 3)),
        np.full((16, 20, 3), 77),
    ]
)
# So few pixels that no level holds a 255th of them: nothing to spread.
SMALL = RNG.integers(0, 256, size=(1, 6, 6, 3))


def changed(images: np.ndarray, tables: tf.Tensor) -> np.ndarray:
    shape = [len(images), images.shape[-1], _tones.NUM_LEVELS]
    levels = tf.constant(images, tf.int32)
    return _tones.look_up(levels, tf.broadcast_to(tables, shape)).numpy()


def pillow(images: np.ndarray, change: str, *arguments: int) -> np.ndarray:
    operation = getattr(ImageOps, change)
    results = [operation(Image.fromarray(image.astype(np.uint8)), *arguments) for image in images]
    return np.stack([np.asarray(result, int) for result in results])


def test_channels_and_images_have_tables_of_their_own() -> None:
    levels = tf.constant([[[[0, 1]]], [[[1, 0]]]])
    tables = tf.tensor_scatter_nd_update(
        tf.zeros([2, 2, 256], tf.int32), [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], [5, 6, 7, 8]
    )
    assert _tones.look_up(levels, tables).numpy().tolist() == [[[[5, 6]]], [[[7, 8]]]]


def test_histogram_counts_each_channel() -> None:
    counts = _tones.histogram(tf.constant(IMAGES, tf.int32)).numpy()
    for image, row in zip(IMAGES, counts, strict=True):
        for channel in range(3):
            expected = np.bincount(image[..., channel].ravel(), minlength=256)
            np.testing.assert_array_equal(row[channel], expected)


def test_autocontrast_stretches_to_the_full_range() -> None:
    levels = np.asarray([50, 100, 152]).reshape(1, 1, 3, 1)
    # 255 * 50 / 102 = 125
    assert changed(levels, _tones.autocontrast(tf.constant(levels, tf.int32))).ravel().tolist() == [
        0,
        125,
        255,
    ]


def test_autocontrast_is_that_of_pillow() -> None:
    found = changed(IMAGES, _tones.autocontrast(tf.constant(IMAGES, tf.int32)))
    # Pillow multiplies by a rounded factor and cuts off, which can lose a level.
    assert set(np.unique(found - pillow(IMAGES, "autocontrast"))) <= {0, 1}


@pytest.mark.parametrize("images", [IMAGES, SMALL], ids=["images", "few_pixels"])
def test_equalize_is_that_of_pillow(images: np.ndarray) -> None:
    found = changed(images, _tones.equalize(tf.constant(images, tf.int32)))
    np.testing.assert_array_equal(found, pillow(images, "equalize"))


@pytest.mark.parametrize("bits", [4, 3, 1])
def test_posterize_is_that_of_pillow(bits: int) -> None:
    found = changed(IMAGES, _tones.posterize(tf.constant([bits] * len(IMAGES))))
    np.testing.assert_array_equal(found, pillow(IMAGES, "posterize", bits))


@pytest.mark.parametrize("threshold", [256, 180, 0])
def test_solarize_is_that_of_pillow(threshold: int) -> None:
    found = changed(IMAGES, _tones.solarize(tf.constant([threshold] * len(IMAGES))))
    np.testing.assert_array_equal(found, pillow(IMAGES, "solarize", threshold))
