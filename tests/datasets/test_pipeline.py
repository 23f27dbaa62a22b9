"""Batches: which images, in which order, with which neighbors."""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.augmentations import Crop, CropFlip
from lsp_keras.datasets import EpochBatches, count_batches, make_batches
from lsp_keras.shards import Shard, dealt_together
from lsp_keras.types import Examples, NeighborTable
from lsp_keras.validation import InputError


@pytest.fixture
def split() -> Examples:
    """Ten images; every pixel of image i is 10 * i."""
    values = (10 * np.arange(10, dtype=np.uint8)).reshape(-1, 1, 1, 1)
    images = np.broadcast_to(values, (10, 4, 4, 3)).copy()
    return Examples(images, np.arange(10) % 3, np.arange(100, 110))


@pytest.fixture
def table() -> NeighborTable:
    """The two neighbors of image i are i + 1 and i + 2, modulo ten."""
    indices = (np.arange(10)[:, None] + np.array([1, 2])) % 10
    return NeighborTable(indices, indices.astype(np.float32) / 8, {})


class AddKeys:
    """Adds the index to the images and the epoch times 1,000: shows what keys an image got."""

    def __call__(self, images, *, seed, indices, counter):
        keys = tf.cast(indices + 1000 * counter + 100 * seed, tf.float32)
        return images + tf.reshape(keys, [-1, 1, 1, 1])


def rows(batches: tf.data.Dataset) -> list[list[int]]:
    return [batch["indices"].tolist() for batch in batches.as_numpy_iterator()]


def test_without_shuffling_the_split_comes_in_its_order(split):
    batches = list(make_batches(split, batch_size=4).as_numpy_iterator())
    assert [batch["indices"].tolist() for batch in batches] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]
    np.testing.assert_array_equal(batches[1]["labels"], [1, 2, 0, 1])
    np.testing.assert_allclose(
        batches[2]["images"][:, 0, 0, 0], np.array([80, 90]) / 255, rtol=1e-6
    )
    assert batches[0]["images"].dtype == np.float32
    assert batches[0]["indices"].dtype == batches[0]["labels"].dtype == np.int64


def test_each_epoch_is_a_permutation_of_its_own(split):
    epochs = [
        rows(make_batches(split, batch_size=4, shuffle=True, seed=7, epoch=e)) for e in (0, 1)
    ]
    for epoch in epochs:
        assert sorted(itertools.chain(*epoch)) == list(range(10))
    assert epochs[0] != epochs[1]
    assert epochs[0] != rows(make_batches(split, batch_size=4, shuffle=True, seed=8))


def test_epochs_in_a_row_equal_epochs_asked_for_alone(split):
    options: dict[str, Any] = {"batch_size": 4, "shuffle": True, "seed": 3, "augment": AddKeys()}
    joined = make_batches(split, epoch=2, num_epochs=3, **options)
    alone = [make_batches(split, epoch=epoch, **options) for epoch in (2, 3, 4)]
    single = [batch for epoch in alone for batch in epoch.as_numpy_iterator()]
    assert int(joined.cardinality()) == len(single) == 9
    for left, right in zip(joined.as_numpy_iterator(), single, strict=True):
        np.testing.assert_array_equal(left["indices"], right["indices"])
        np.testing.assert_array_equal(left["images"], right["images"])


def test_augmentation_gets_row_epoch_and_seed_as_keys(split):
    batches = make_batches(split, batch_size=5, shuffle=True, seed=2, epoch=4, augment=AddKeys())
    for batch in batches.as_numpy_iterator():
        expected = batch["indices"] * 10 / 255 + batch["indices"] + 4000 + 200
        np.testing.assert_allclose(batch["images"][:, 1, 2, 0], expected, rtol=1e-6)


def test_neighbors_are_those_of_the_table(split, table):
    batches = make_batches(
        split, batch_size=3, shuffle=True, seed=1, neighbors=table, augment=AddKeys()
    )
    for batch in batches.as_numpy_iterator():
        expected = table.indices[batch["indices"]]
        np.testing.assert_allclose(
            batch["neighbor_images"][:, :, 3, 3, 1], expected * 10 / 255, rtol=1e-6
        )
        np.testing.assert_array_equal(
            batch["neighbor_distances"], table.distances[batch["indices"]]
        )


def test_augmented_neighbors_draw_apart_from_images_and_from_each_other(split, table):
    seen = []

    def record(images, *, seed, indices, counter):
        tf.numpy_function(lambda keys: seen.extend(keys.tolist()), [indices], [])
        return images

    batches = make_batches(
        split, batch_size=5, neighbors=table, augment=record, augment_neighbors=True
    )
    assert len(list(batches)) == 2
    assert len(seen) == len(set(seen)) == 10 + 20


def test_dropped_remainder_makes_all_batches_whole_and_their_size_static(split):
    batches = make_batches(split, batch_size=4, drop_remainder=True, num_epochs=2)
    assert rows(batches) == [[0, 1, 2, 3], [4, 5, 6, 7]] * 2
    assert batches.element_spec["images"].shape == (4, 4, 4, 3)
    assert make_batches(split, batch_size=4).element_spec["images"].shape[0] is None


def test_memory_mapped_images_are_gathered_too(split, table, tmp_path):
    np.save(tmp_path / "images.npy", split.images)
    mapped = Examples(np.load(tmp_path / "images.npy", mmap_mode="r"), split.labels, split.indices)
    options: dict[str, Any] = {"batch_size": 4, "shuffle": True, "seed": 5, "neighbors": table}
    pairs = zip(
        make_batches(mapped, **options).as_numpy_iterator(),
        make_batches(split, **options).as_numpy_iterator(),
        strict=True,
    )
    for left, right in pairs:
        np.testing.assert_array_equal(left["images"], right["images"])
        np.testing.assert_array_equal(left["neighbor_images"], right["neighbor_images"])


def test_a_table_of_other_data_is_refused(split, table):
    short = NeighborTable(table.indices[:9], table.distances[:9], {})
    with pytest.raises(InputError, match=r"does not belong to this split of 10 images.*9 rows"):
        make_batches(split, batch_size=2, neighbors=short)
    outside = NeighborTable(table.indices + 1, table.distances, {})
    with pytest.raises(InputError, match=r"neighbors in \[1, 10\]"):
        make_batches(split, batch_size=2, neighbors=outside)


@pytest.mark.parametrize(("drop", "count"), [(False, 4), (True, 3)])
def test_count_batches(drop, count):
    assert count_batches(10, 3, drop) == count


def test_count_batches_refuses_an_epoch_without_batches():
    with pytest.raises(InputError, match="`batch_size` must be at most the number of images, 10"):
        count_batches(10, 11, True)
    with pytest.raises(InputError, match="`batch_size` must be greater than zero"):
        count_batches(10, 0, False)


def test_features_come_with_their_images(split):
    """Half precision in the file, single precision in the batch."""
    features = np.arange(20).reshape(10, 2).astype(np.float16) / 8
    batches = make_batches(split, batch_size=5, shuffle=True, seed=1, features=features)
    for batch in batches.as_numpy_iterator():
        assert batch["features"].dtype == np.float32
        np.testing.assert_array_equal(batch["features"], features[batch["indices"]])


@pytest.mark.parametrize("shape", [(9, 2), (10,)])
def test_features_of_other_images_are_refused(split, shape):
    with pytest.raises(InputError, match="Give one row for each image"):
        make_batches(split, batch_size=5, features=np.zeros(shape, np.float16))


def test_a_given_order_is_followed_from_epoch_to_epoch(split):
    def order(epoch: int) -> np.ndarray:
        return np.roll(np.arange(10), epoch)

    batches = make_batches(split, batch_size=4, shuffle=True, epoch=1, num_epochs=2, order=order)
    assert list(itertools.chain(*rows(batches))) == [*np.roll(range(10), 1), *np.roll(range(10), 2)]


def test_epochs_share_one_trace(split):
    """What is augmented in Python is called once, whatever the number of epochs."""
    calls = []

    class Counted(AddKeys):
        def __call__(self, images, **keys):
            calls.append(1)
            return super().__call__(images, **keys)

    options: dict[str, Any] = {"batch_size": 4, "shuffle": True, "seed": 3, "augment": Counted()}
    batches = EpochBatches(split, **options)
    for epoch in (2, 0, 1):
        expected = make_batches(split, epoch=epoch, **{**options, "augment": AddKeys()})
        for left, right in zip(batches(epoch), expected, strict=True):
            np.testing.assert_array_equal(left["images"], right["images"])
    assert len(calls) == 1


@pytest.mark.parametrize("augment", [None, Crop(2), CropFlip(2)])
def test_bytes_are_what_floats_would_be(augment) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3), dtype=np.uint8)
    split = Examples(images, np.arange(9), np.arange(9))
    rng = np.random.default_rng(1)
    table = NeighborTable(rng.integers(0, 9, (9, 2)), rng.random((9, 2), np.float32), {})
    options: dict[str, Any] = {
        "batch_size": 4,
        "shuffle": True,
        "augment": augment,
        "neighbors": table,
    }
    options["augment_neighbors"] = True
    pairs = zip(
        make_batches(split, **options), make_batches(split, as_bytes=True, **options), strict=True
    )
    for floats, kept in pairs:
        for name in ("images", "neighbor_images"):
            assert kept[name].dtype == tf.uint8
            np.testing.assert_array_equal(tf.cast(kept[name], tf.float32) / 255.0, floats[name])


def test_shards_share_each_batch() -> None:
    images = np.arange(22, dtype=np.uint8).reshape(22, 1, 1, 1)
    split = Examples(images, np.arange(22), np.arange(22))
    options: dict[str, Any] = {
        "batch_size": 6,
        "shuffle": True,
        "seed": 3,
        "drop_remainder": True,
    }
    parts = [list(make_batches(split, shard=Shard(index, 3), **options)) for index in range(3)]
    whole = list(make_batches(split, **options))
    assert len(whole) == len(parts[0]) == 3
    for step, batch in enumerate(whole):
        dealt = dealt_together([part[step]["indices"].numpy() for part in parts])
        np.testing.assert_array_equal(dealt, batch["indices"])
        np.testing.assert_array_equal(parts[1][step]["images"], batch["images"][1::3])
    with pytest.raises(InputError, match="cannot be dealt out to 4 shards"):
        make_batches(split, shard=Shard(0, 4), **options)
    with pytest.raises(InputError, match="with `drop_remainder=True`"):
        make_batches(split, shard=Shard(0, 3), batch_size=6)
