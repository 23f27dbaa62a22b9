"""Datasets from arrays."""

from typing import Any

import numpy as np
import pytest

from lsp_keras.datasets import from_arrays
from lsp_keras.validation import InputError

LABELS = np.repeat([0, 1, 2], [30, 20, 10])
IMAGES = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 16, 20, 3))


def values(split) -> list[int]:
    return split.images[:, 0, 0, 0].tolist()


def test_arrays_are_cut_as_every_source_is() -> None:
    dataset = from_arrays((IMAGES, LABELS), class_names=["a", "b", "c"], validation_size=12)
    assert dataset.info.image_shape == (16, 20, 3)
    assert dataset.info.class_names == ("a", "b", "c")
    assert np.bincount(dataset.test.labels).tolist() == [6, 4, 2]
    assert np.bincount(dataset.validation.labels).tolist() == [6, 4, 2]
    parts = (dataset.train, dataset.validation, dataset.test)
    assert sorted(value for split in parts for value in values(split)) == list(range(60))
    for split in parts:
        np.testing.assert_array_equal(split.labels, LABELS[values(split)])
        np.testing.assert_array_equal(split.indices, values(split))


def test_splits_that_are_given_are_used() -> None:
    dataset = from_arrays(
        (IMAGES[:40], LABELS[:40]),
        (IMAGES[50:], LABELS[50:]),
        validation=(IMAGES[40:50], LABELS[40:50]),
    )
    assert sorted(values(dataset.train)) == list(range(40))
    assert sorted(values(dataset.validation)) == list(range(40, 50))
    assert sorted(values(dataset.test)) == list(range(50, 60))
    assert "No training images of 2." in dataset.info.notes
    assert "No validation images of 0, 2." in dataset.info.notes


def test_gray_images_may_come_without_an_axis_for_channels() -> None:
    assert from_arrays((IMAGES[..., 0], LABELS)).info.image_shape == (16, 20, 1)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((IMAGES / 255, LABELS), r"must be uint8 .*float64.*np.rint\(255 \* x\)"),
        ((IMAGES[..., :2], LABELS), "1 or 3"),
        ((IMAGES, LABELS[:5]), "60 integers, one for each image"),
        ((IMAGES, LABELS / 2), "60 integers"),
        (([IMAGES[0], IMAGES[1, :8]], LABELS[:2]), r"one shape .* \(8, 20, 3\), \(16, 20, 3\)"),
        ((IMAGES[:0], LABELS[:0]), "Received: none"),
        ((IMAGES, LABELS - 1), r"Labels must be in \[0, 2\). Received: -1"),
        ((IMAGES, np.zeros(60, int)), "two or more different class names"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(train, message) -> None:
    with pytest.raises(InputError, match=message):
        from_arrays(train)


def test_splits_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"Those of train have .* those of test"):
        from_arrays((IMAGES, LABELS), (IMAGES[:, :8], LABELS))


def test_a_class_name_is_one_line() -> None:
    images = np.zeros((10, 16, 16, 3), np.uint8)
    names: Any = np.array(["cat\n", "big\r\ndog"])
    dataset = from_arrays((images, np.arange(10) % 2), class_names=names)
    assert dataset.info.class_names == ("cat", "big dog")
    with pytest.raises(InputError, match="two or more different class names"):
        from_arrays((images, np.arange(10) % 2), class_names=["cat", "cat\n"])
