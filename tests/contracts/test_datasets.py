"""Every registered dataset: a whole record, from real or from TFDS's mock images."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lsp_keras import registry
from lsp_keras.datasets import load
from lsp_keras.datasets.from_tfds.source import TFDSSource

NUM_IMAGES = 60


@pytest.fixture(scope="module", params=registry.names("dataset"))
def dataset(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    source = registry.get("dataset", request.param)
    if not isinstance(source, TFDSSource):
        yield load(request.param, data_dir=folder, cache_dir=folder)
        return
    builder = tfds.builder(source.name, data_dir=folder)
    label = builder.info.features["label"]
    if label.num_classes is None:
        label.names = ["one", "two"]
    splits = [
        tfds.core.SplitInfo(name=name, shard_lengths=[NUM_IMAGES], num_bytes=0)
        for name in ("train", "test")
    ]
    builder.info.set_splits(tfds.core.splits.SplitDict(splits))
    builder.data_path.mkdir(parents=True)
    builder.info.write_to_directory(builder.data_path)
    with tfds.testing.mock_data(num_examples=NUM_IMAGES, data_dir=str(folder)):
        yield load(request.param, data_dir=folder, cache_dir=folder)


def test_the_record_is_whole(dataset):
    info = dataset.info
    height, width, channels = info.image_shape
    assert height == width >= 16
    assert len(info.mean) == len(info.std) == channels == 3
    assert all(0 < value < 1 for value in (*info.mean, *info.std))
    assert len(set(info.class_names)) == info.num_classes > 1
    assert info.augmentation in registry.names("augmentation")
    assert len(info.citation) > 20
    assert {"train", "test"} <= set(info.split_sizes)


def test_splits_are_uint8_images_with_labels_and_no_image_twice(dataset):
    info = dataset.info
    for split in (dataset.train, dataset.validation, dataset.test):
        assert split.images.dtype == np.uint8
        assert split.images.shape == (len(split), *info.image_shape)
        assert split.labels.dtype == split.indices.dtype == np.int64
        assert set(split.labels) <= set(range(info.num_classes))
    sizes = info.split_sizes
    assert len(dataset.train) + len(dataset.validation) == sizes["train"]
    assert len(dataset.validation) == sizes["train"] // 10
    assert len(dataset.test) == sizes["test"]
    assert not set(dataset.train.indices) & set(dataset.validation.indices)
