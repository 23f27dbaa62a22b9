"""Neighbors for a pipeline of the user's own."""

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.datasets import attach, load, make_batches
from lsp_keras.neighbors import MiningSettings, mine
from lsp_keras.validation import InputError


@pytest.fixture(scope="module")
def split():
    return load("digits", num_train=60).train


@pytest.fixture(scope="module")
def table(split):
    return mine(split.images, MiningSettings(num_neighbors=4, index="sklearn"))


def test_batches_equal_those_of_our_own_pipeline(split, table) -> None:
    expected = list(make_batches(split, batch_size=16, neighbors=table, shuffle=True, seed=2))
    rows = np.concatenate([batch["indices"] for batch in expected])
    images = (split.images / 255).astype(np.float32)
    own = tf.data.Dataset.from_tensor_slices((rows, (images[rows], split.labels[rows])))
    attached = list(attach(own.batch(16), table, split.images))
    assert len(attached) == len(expected) == 4
    for one, two in zip(attached, expected, strict=True):
        assert set(one) == set(two)
        for name in one:
            np.testing.assert_allclose(one[name], two[name], atol=1e-7)


def test_dictionaries_keep_what_else_they_hold(split, table) -> None:
    columns = {"images": split.images, "labels": split.labels, "weights": np.ones(60)}
    own = tf.data.Dataset.from_tensor_slices(columns | {"indices": np.arange(60)[::-1]})
    batch = next(iter(attach(own.batch(10), table, split.images)))
    assert set(batch) == {*columns, "indices", "neighbor_images", "neighbor_distances"}
    np.testing.assert_array_equal(batch["neighbor_distances"], table.distances[::-1][:10])


def test_neighbors_are_transformed_as_the_pipeline_transforms(split, table) -> None:
    own = tf.data.Dataset.from_tensor_slices((split.images, split.labels)).enumerate()
    batches = attach(
        own.batch(20, drop_remainder=True),
        table,
        split.images,
        transform=lambda images: 1 - tf.image.resize(images, (8, 8), "nearest"),
    )
    assert batches.element_spec["neighbor_images"].shape == (20, 4, 8, 8, 3)
    batch = next(iter(batches))
    neighbor = split.images[table.indices[3, 1]] / 255
    np.testing.assert_allclose(batch["neighbor_images"][3, 1], 1 - neighbor[1::2, 1::2], atol=1e-6)


def test_a_table_of_other_images_is_refused(split, table) -> None:
    own = tf.data.Dataset.from_tensor_slices((split.images, split.labels)).enumerate().batch(9)
    with pytest.raises(InputError, match="made from other images"):
        attach(own, table, split.images[::-1])
    with pytest.raises(InputError, match="does not belong to this split of 50 images"):
        attach(own, table, split.images[:50])


def test_batches_without_indices_are_refused(split, table) -> None:
    own = tf.data.Dataset.from_tensor_slices((split.images, split.labels)).batch(9)
    with pytest.raises(InputError, match=r"dataset.enumerate\(\).batch"):
        attach(own, table, split.images)
