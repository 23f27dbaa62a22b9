"""Random crop and flip: fixed draws by hand, and what is drawn."""

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.augmentations.crop import Crop, CropDraws
from lsp_keras.augmentations.crop_flip import CropFlip
from lsp_keras.validation import InputError

# One 2x3 image with one channel.
IMAGE = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [1, 2, 3, 1])


def crop(top: int, left: int, flip: bool) -> list[list[float]]:
    draws = CropDraws(tf.constant([top]), tf.constant([left]), tf.constant([flip]))
    return Crop(padding=1).apply(IMAGE, draws)[0, :, :, 0].numpy().tolist()


def test_the_middle_crop_is_the_image_itself():
    assert crop(1, 1, False) == [[1, 2, 3], [4, 5, 6]]


def test_a_crop_from_the_corner_brings_black_in():
    assert crop(0, 0, False) == [[0, 0, 0], [0, 1, 2]]
    assert crop(2, 2, False) == [[5, 6, 0], [0, 0, 0]]


def test_a_flip_mirrors_what_was_cropped():
    assert crop(1, 1, True) == [[3, 2, 1], [6, 5, 4]]
    assert crop(1, 0, True) == [[2, 1, 0], [5, 4, 0]]


def test_images_of_a_batch_are_cropped_each_by_its_own_draw():
    images = np.random.default_rng(0).random((5, 6, 7, 3), dtype=np.float32)
    top, left = [0, 1, 2, 3, 4], [4, 0, 3, 1, 2]
    flip = [True, False, True, False, True]
    draws = CropDraws(*map(tf.constant, (top, left, flip)))
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    expected = []
    for image, row, column, mirrored in zip(padded, top, left, flip, strict=True):
        cut = image[row : row + 6, column : column + 7]
        expected.append(cut[:, ::-1] if mirrored else cut)
    np.testing.assert_array_equal(Crop(padding=2).apply(tf.constant(images), draws), expected)


@pytest.mark.parametrize(("side", "padding"), [(16, 2), (32, 4), (96, 12)])
def test_default_padding_is_an_eighth_of_the_side(side, padding):
    draws = Crop().draw(tf.zeros([2000, side, side, 1]), seed=0, indices=tf.range(2000))
    for starts in (draws.top.numpy(), draws.left.numpy()):
        counts = np.bincount(starts)
        assert len(counts) == 2 * padding + 1
        # Every start is equally likely: five standard deviations of a binomial count.
        expected = 2000 / len(counts)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_only_crop_flip_mirrors_and_it_does_so_half_of_the_time():
    images, indices = tf.zeros([2000, 8, 8, 1]), tf.range(2000)
    assert not Crop().draw(images, seed=0, indices=indices).flip.numpy().any()
    flips = CropFlip().draw(images, seed=0, indices=indices).flip.numpy()
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)


def test_negative_padding_is_refused():
    with pytest.raises(InputError, match="`padding` must be zero or more"):
        Crop(padding=-1)
