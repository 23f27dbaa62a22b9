import numpy as np
import pytest

from lsp_keras.neighbors import FeatureSource, MiningSettings, find_or_mine
from lsp_keras.neighbors import features as features_module
from lsp_keras.neighbors.feature_shards import with_feature_shards, write_feature_shard
from lsp_keras.shards import Shard
from lsp_keras.validation import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 4, 4, 3), dtype=np.uint8)


def encode(images):
    return images.reshape(len(images), -1)[:, ::3] * 2.0


SOURCE = FeatureSource("encoder", "encoder-1", encode=encode)


def test_shards_give_the_table_of_the_whole(tmp_path) -> None:
    assert with_feature_shards(IMAGES, SOURCE, cache_dir=tmp_path) is SOURCE
    for index in (2, 0):
        write_feature_shard(IMAGES, SOURCE, Shard(index, 3), cache_dir=tmp_path)
    with pytest.raises(InputError, match=r"are missing: 1-of-3\.npy"):
        with_feature_shards(IMAGES, SOURCE, cache_dir=tmp_path)
    write_feature_shard(IMAGES, SOURCE, Shard(1, 3), cache_dir=tmp_path)
    found = with_feature_shards(IMAGES, SOURCE, cache_dir=tmp_path)
    np.testing.assert_array_equal(found.embeddings, features_module.image_features(IMAGES, encode))
    settings = MiningSettings(num_neighbors=3)
    whole = find_or_mine(IMAGES, settings, SOURCE, cache_dir=tmp_path / "whole")
    union = find_or_mine(IMAGES, settings, found, cache_dir=tmp_path / "union")
    np.testing.assert_array_equal(union.indices, whole.indices)
    np.testing.assert_array_equal(union.distances, whole.distances)
    assert union.provenance == whole.provenance


def test_shards_belong_to_their_images_and_encoder(tmp_path) -> None:
    write_feature_shard(IMAGES, SOURCE, Shard(0, 1), cache_dir=tmp_path)
    other = FeatureSource("encoder", "encoder-2", encode=encode)
    assert with_feature_shards(IMAGES, other, cache_dir=tmp_path) is other
    assert with_feature_shards(IMAGES[1:], SOURCE, cache_dir=tmp_path) is SOURCE


def test_shards_of_different_numbers_and_damaged_ones_are_refused(tmp_path) -> None:
    path = write_feature_shard(IMAGES, SOURCE, Shard(0, 1), cache_dir=tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"The shard of features .*0-of-1\.npy is no use"):
        with_feature_shards(IMAGES, SOURCE, cache_dir=tmp_path)
    for index in range(2):
        write_feature_shard(IMAGES, SOURCE, Shard(index, 2), cache_dir=tmp_path)
    with pytest.raises(InputError, match="are of different numbers"):
        with_feature_shards(IMAGES, SOURCE, cache_dir=tmp_path)


def test_what_needs_no_encoder_has_no_shards() -> None:
    with pytest.raises(InputError, match="--shard is for an --encoder"):
        write_feature_shard(IMAGES, FeatureSource(), Shard(0, 2))


def test_features_larger_than_memory_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(features_module, "available_memory", lambda: 2 * 4 * 23 * 48 - 1)
    with pytest.raises(InputError, match=r"0\.0 GiB are free\. Search among fewer numbers"):
        features_module.image_features(IMAGES)
    monkeypatch.setattr(features_module, "available_memory", lambda: 2 * 4 * 23 * 48)
    assert features_module.image_features(IMAGES).shape == (23, 48)
