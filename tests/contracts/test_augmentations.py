"""Every registered augmentation: draws belong to the image, and values stay in range."""

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import registry

IMAGES = np.random.default_rng(0).random((12, 16, 16, 3), dtype=np.float32)
INDICES = np.arange(100, 112)


@pytest.fixture(params=registry.names("augmentation"))
def augmentation(request):
    return registry.get("augmentation", request.param)()


def test_an_image_is_changed_alike_wherever_it_stands_in_a_batch(augmentation):
    order = np.random.default_rng(1).permutation(12)
    whole = augmentation(tf.constant(IMAGES), seed=3, indices=INDICES, counter=2).numpy()
    part = augmentation(
        tf.constant(IMAGES[order[:5]]), seed=3, indices=INDICES[order[:5]], counter=2
    )
    np.testing.assert_array_equal(part, whole[order[:5]])


@pytest.mark.parametrize("changed", [{"seed": 4}, {"counter": 3}, {"indices": INDICES + 1}])
def test_seed_epoch_and_index_each_change_the_draw(augmentation, changed):
    keys = {"seed": 3, "indices": INDICES, "counter": 2}
    first = augmentation(tf.constant(IMAGES), **keys).numpy()
    second = augmentation(tf.constant(IMAGES), **(keys | changed)).numpy()
    assert not np.array_equal(first, second)


def test_shape_dtype_and_range_are_kept(augmentation):
    result = augmentation(tf.constant(IMAGES), seed=0, indices=INDICES)
    assert result.shape == IMAGES.shape
    assert result.dtype == tf.float32
    assert result.numpy().min() >= 0
    assert result.numpy().max() <= 1


def test_it_runs_in_a_graph_with_an_unknown_batch_size(augmentation):
    signature = [
        tf.TensorSpec([None, 16, 16, 3], tf.float32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([], tf.int64),
    ]

    @tf.function(input_signature=signature)
    def augment(images, indices, counter):
        return augmentation(images, seed=5, indices=indices, counter=counter)

    eager = augmentation(tf.constant(IMAGES), seed=5, indices=INDICES, counter=1)
    np.testing.assert_array_equal(augment(IMAGES, INDICES, 1), eager)
