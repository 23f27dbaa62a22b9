"""Parts of MoCo: split BatchNorm, queue, projection head."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import registry
from lsp_keras.models._moco import (
    KeyQueue,
    SplitBatchNormalization,
    contrastive_network,
    plain_encoder,
)
from lsp_keras.validation import InputError


def test_each_part_of_the_batch_is_normalized_by_itself() -> None:
    inputs = np.random.default_rng(0).normal(2, 3, (6, 4, 5, 2)).astype(np.float32)
    layer = SplitBatchNormalization(splits=3, momentum=0.9, epsilon=1e-5)
    outputs = layer(inputs, training=True)
    means, variances = [], []
    for start in (0, 2, 4):
        part = inputs[start : start + 2]
        mean, variance = part.mean((0, 1, 2)), part.var((0, 1, 2))
        expected = (part - mean) / np.sqrt(variance + 1e-5)
        np.testing.assert_allclose(outputs[start : start + 2], expected, atol=1e-5)
        means.append(mean)
        variances.append(variance)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * np.mean(means, 0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * np.mean(variances, 0), rtol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_one_part_or_inference_is_plain_batch_norm(training: bool) -> None:
    inputs = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    split = SplitBatchNormalization(splits=1 if training else 2)
    plain = keras.layers.BatchNormalization()
    np.testing.assert_allclose(
        split(inputs, training=training), plain(inputs, training=training), rtol=1e-6
    )


def test_queue_forgets_the_oldest_keys_first() -> None:
    queue = KeyQueue(5, 2)
    np.testing.assert_allclose(np.linalg.norm(queue.keys, axis=1), 1, rtol=1e-6)
    for value in (1.0, 2.0, 3.0):
        queue.enqueue(tf.fill([2, 2], value))
    assert np.asarray(queue.keys)[:, 0].tolist() == [3, 1, 2, 2, 3]
    assert int(queue.position) == 1
    with pytest.raises(InputError, match="queue of 5 cannot take 6 keys"):
        queue.enqueue(tf.zeros([6, 2]))


# Another depth of the same blocks, which take seconds to copy.
SLOW = {"resnet34"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in registry.names("model")
    ],
)
def test_network_starts_from_the_backbone_and_gives_it_back(name: str, tmp_path: Path) -> None:
    images = np.random.default_rng(2).random((3, 16, 16, 3), np.float32)
    backbone = registry.get("model", name)(10, input_shape=(16, 16, 3), width=4)
    network = contrastive_network(backbone, dimensions=6, batch_norm_splits=2)
    features, projections = network(images, training=False)
    assert projections.shape == (3, 6)
    inner = keras.Model(backbone.input, backbone.get_layer("features").output)
    np.testing.assert_allclose(features, inner(images, training=False), rtol=1e-4, atol=1e-5)
    for weight in network.weights:
        weight.assign(weight + 0.1)
    encoder = plain_encoder(keras.Model(network.input, network.output[0]), backbone)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras", safe_mode=True)
    assert not any(isinstance(layer, SplitBatchNormalization) for layer in loaded.layers)
    np.testing.assert_allclose(
        loaded(images, training=False), network(images, training=False)[0], rtol=1e-4, atol=1e-5
    )
