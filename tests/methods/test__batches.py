import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods._batches import unpack
from lsp_keras.validation import InputError

IMAGES = tf.fill([3, 8, 8, 3], 0.5)
LABELS = tf.constant([[2], [0], [1]])


@pytest.mark.parametrize(
    "data",
    [
        {"images": IMAGES, "labels": LABELS},
        (IMAGES, LABELS),
        ({"images": IMAGES}, LABELS),
        ({"images": IMAGES}, LABELS, tf.ones([3])),
    ],
)
def test_every_form_gives_the_same_batch(data: object) -> None:
    batch = unpack(data)
    np.testing.assert_array_equal(batch["images"], IMAGES)
    np.testing.assert_array_equal(batch["labels"], [2, 0, 1])
    np.testing.assert_array_equal(batch["indices"], [0, 1, 2])
    assert ("sample_weight" in batch) == (isinstance(data, tuple) and len(data) == 3)


def test_what_the_pipeline_adds_is_kept() -> None:
    batch = unpack({"images": IMAGES, "labels": LABELS, "indices": tf.constant([7, 8, 9]), "x": 1})
    np.testing.assert_array_equal(batch["indices"], [7, 8, 9])
    assert batch["x"] == 1


def test_refuses_integer_images_and_missing_labels() -> None:
    with pytest.raises(InputError, match=r"dtype=int32. Divide images from 0 to 255"):
        unpack((tf.zeros([3, 8, 8, 3], tf.int32), LABELS))
    with pytest.raises(InputError, match="Missing: labels"):
        unpack({"images": IMAGES})


def test_images_of_uint8_are_scaled_as_the_pipeline_scales_them() -> None:
    levels = tf.reshape(tf.range(192), [3, 8, 8, 1])
    levels = tf.cast(levels, tf.uint8)
    batch = unpack({"images": levels, "labels": LABELS, "neighbor_images": levels[:, None]})
    expected = np.arange(192, dtype=np.float32).reshape(3, 8, 8, 1) / np.float32(255)
    np.testing.assert_array_equal(batch["images"], expected)
    np.testing.assert_array_equal(batch["neighbor_images"], expected[:, None])


@pytest.mark.parametrize("type_", [tf.uint8, tf.int16, tf.int32, tf.int64])
def test_labels_of_any_width_are_int64(type_) -> None:
    labels = unpack((IMAGES, tf.cast(LABELS, type_)))["labels"]
    assert labels.dtype == tf.int64
    np.testing.assert_array_equal(labels, [2, 0, 1])


@pytest.mark.parametrize("labels", [tf.one_hot([2, 0, 1], 3, dtype=tf.int32), [2.0, 0.0, 1.0]])
def test_one_hot_rows_and_floats_are_refused(labels) -> None:
    with pytest.raises(InputError, match=r"with `argmax\(axis=-1\)`, and floats with"):
        unpack((IMAGES, labels))


@pytest.mark.parametrize("type_", [tf.float64, tf.float16, tf.int32])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_weights_are_one_float_for_each_image(type_, shape) -> None:
    weights = tf.reshape(tf.constant([1, 0, 2], type_), shape)
    found = unpack((IMAGES, LABELS, weights))["sample_weight"]
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, [1.0, 0.0, 2.0])
    with pytest.raises(InputError, match="one number for each image"):
        unpack((IMAGES, LABELS, tf.ones([3, 2])))
