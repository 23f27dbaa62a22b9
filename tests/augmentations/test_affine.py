"""Moving pixels: by hand, and against Pillow, whose operations AugMix uses."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsp_keras.augmentations import _affine

RAMP = tf.reshape(tf.constant([10, 20, 30, 40]), [1, 1, 4, 1])
NOISE = np.random.default_rng(0).integers(0, 256, size=(2, 12, 16, 3))


def resample(images: np.ndarray, matrices: tf.Tensor) -> np.ndarray:
    return _affine.resample(tf.constant(images, tf.int32), matrices).numpy()


def test_identity_keeps_every_level() -> None:
    np.testing.assert_array_equal(resample(NOISE, _affine.identity(tf.constant(2))), NOISE)


def test_translation_by_whole_pixels_brings_black_in() -> None:
    moved = resample(RAMP, _affine.translate_x(tf.constant([1.0])))
    assert moved.ravel().tolist() == [20, 30, 40, 0]
    upright = tf.transpose(RAMP, [0, 2, 1, 3])
    moved = resample(upright, _affine.translate_y(tf.constant([-2.0])))
    assert moved.ravel().tolist() == [0, 0, 10, 20]


def test_translation_between_pixels_is_linear_and_rounded() -> None:
    moved = resample(RAMP, _affine.translate_x(tf.constant([0.25])))
    # 12.5 is rounded up; the last sample is within the image, half a pixel from its edge.
    assert moved.ravel().tolist() == [13, 23, 33, 40]


def test_quarter_turn_is_counterclockwise() -> None:
    square = np.random.default_rng(1).integers(0, 256, size=(1, 8, 8, 3))
    turned = resample(square, _affine.rotate(tf.constant([90.0]), (8, 8)))
    np.testing.assert_array_equal(turned, np.rot90(square, axes=(1, 2)))


def pillow_rotate(image: Image.Image, amount: float) -> Image.Image:
    return image.rotate(amount, resample=Image.Resampling.BILINEAR)


def pillow_affine(*place: int) -> Callable[[Image.Image, float], Image.Image]:
    def change(image: Image.Image, amount: float) -> Image.Image:
        matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        matrix[place[0]] = amount
        return image.transform(
            image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
        )

    return change


CASES = {
    "rotate": (lambda amounts: _affine.rotate(amounts, (12, 16)), pillow_rotate, (9.0, -4.0)),
    "shear_x": (_affine.shear_x, pillow_affine(1), (0.09, -0.05)),
    "shear_y": (_affine.shear_y, pillow_affine(3), (0.09, -0.05)),
    "translate_x": (_affine.translate_x, pillow_affine(2), (3.0, -2.0)),
    "translate_y": (_affine.translate_y, pillow_affine(5), (3.0, -2.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_each_image_moves_as_in_pillow(name: str) -> None:
    matrices, change, amounts = CASES[name]
    found = resample(NOISE, matrices(tf.constant(amounts)))
    for image, amount, result in zip(NOISE, amounts, found, strict=True):
        expected = np.asarray(change(Image.fromarray(image.astype(np.uint8)), amount), int)
        # Pillow cuts off after the point, we round.
        assert set(np.unique(result - expected)) <= {0, 1}
        assert np.abs(result - image).mean() > 5
