"""MoCo's training step against its definition."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses.info_nce import info_nce
from lsp_keras.pretraining import MoCoTrainer
from lsp_keras.pretraining.moco import feature_spread


def backbone() -> keras.Model:
    images = keras.Input((6, 6, 3))
    outputs = keras.layers.Conv2D(8, 3, use_bias=False)(images)
    outputs = keras.layers.BatchNormalization()(outputs)
    outputs = keras.layers.Activation("relu")(outputs)
    outputs = keras.layers.GlobalAveragePooling2D(name="features")(outputs)
    return keras.Model(images, keras.layers.Dense(2)(outputs))


def make_trainer(**options: Any) -> MoCoTrainer:
    keras.utils.set_random_seed(1)
    defaults: dict[str, Any] = {"dimensions": 4, "queue_size": 16, "batch_norm_splits": 2}
    trainer = MoCoTrainer(backbone(), **(defaults | options))
    trainer.compile(keras.optimizers.SGD(0.1))
    return trainer


def views(count: int = 8) -> dict[str, tf.Tensor]:
    first, second = np.random.default_rng(0).random((2, count, 6, 6, 3), np.float32)
    return {"first": tf.constant(first), "second": tf.constant(second)}


def weights(model: keras.Model) -> list[np.ndarray]:
    return [np.array(weight) for weight in model.trainable_weights]


def unit(values: tf.Tensor) -> np.ndarray:
    values = np.asarray(values)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize("symmetric", [False, True])
def test_loss_is_info_nce_of_queries_with_keys_and_the_old_queue(symmetric: bool) -> None:
    # One part in BatchNorm: then the order in which keys are computed changes nothing.
    trainer = make_trainer(symmetric=symmetric, batch_norm_splits=1)
    queue = np.array(trainer.queue.keys)
    batch = views()
    projected = [
        unit(trainer.query_network(batch[name], training=True)[1]) for name in ("first", "second")
    ]
    pairs = [projected, projected[::-1]] if symmetric else [projected]
    expected = sum(
        float(tf.reduce_mean(info_nce(query, key, queue, temperature=0.1))) for query, key in pairs
    )
    logs = trainer.train_step(batch)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-4)
    written = np.array(trainer.queue.keys)[: 8 * len(pairs)]
    expected_keys = np.concatenate([key for _, key in pairs])
    np.testing.assert_allclose(written, expected_keys, atol=1e-4)
    np.testing.assert_array_equal(np.array(trainer.queue.keys)[16:], queue[16:])


def test_momentum_network_follows_the_queries_and_gets_no_gradient() -> None:
    trainer = make_trainer(momentum=0.9)
    for weight in trainer.key_network.trainable_weights:
        weight.assign(weight + 1.0)
    fast, slow = weights(trainer.query_network), weights(trainer.key_network)
    trainer.train_step(views())
    for before, query, after in zip(slow, fast, weights(trainer.key_network), strict=True):
        np.testing.assert_allclose(after, 0.9 * before + 0.1 * query, rtol=1e-5)
    moved = [
        np.abs(after - before).max()
        for before, after in zip(fast, weights(trainer.query_network), strict=True)
    ]
    assert min(moved) > 0


def test_keys_stay_with_their_images_when_shuffled() -> None:
    trainer = make_trainer(batch_norm_splits=1)
    images = views()["first"]
    expected = unit(trainer.key_network(images, training=True)[1])
    for place in (0, 1):
        np.testing.assert_allclose(trainer._keys(images, place), expected, atol=1e-5)


def test_key_splits_are_shuffled_by_seed_and_step() -> None:
    trainer = make_trainer(batch_norm_splits=4)
    images = views()["first"]
    first, again, other = (trainer._keys(images, place).numpy() for place in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_training_makes_views_of_an_image_find_each_other() -> None:
    trainer = make_trainer(symmetric=False, temperature=0.2)
    generator = np.random.default_rng(3)
    images = generator.random((8, 1, 1, 3), np.float32) * np.ones((8, 6, 6, 3), np.float32)
    data = {
        name: images + 0.02 * generator.normal(size=images.shape).astype(np.float32)
        for name in ("first", "second")
    }
    batches = tf.data.Dataset.from_tensors(data).repeat(60)
    history = trainer.fit(batches, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert history[1] < history[0] - 0.05


def test_spread_of_equal_opposite_and_orthogonal_features() -> None:
    assert float(feature_spread(tf.ones([5, 3]))) == pytest.approx(0, abs=1e-6)
    assert float(feature_spread(tf.constant([[3.0, 0.0], [-1.0, 0.0]]))) == pytest.approx(1)
    # The mean of n orthogonal unit vectors has the squared length 1 / n.
    assert float(feature_spread(tf.eye(4))) == pytest.approx(np.sqrt(1 - 1 / 4))
