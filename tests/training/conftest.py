"""A classifier and images so small that a test trains in a moment."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

SHAPE = (8, 8, 3)


@pytest.fixture
def build_classifier() -> Callable[[], keras.Model]:
    """Makes equal classifiers: one convolution, BatchNorm, three classes."""

    def build() -> keras.Model:
        convolution = keras.initializers.HeNormal(seed=1)
        dense = keras.initializers.GlorotUniform(seed=2)
        return keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Conv2D(4, 3, 2, use_bias=False, kernel_initializer=convolution),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.Activation("relu"),
                keras.layers.GlobalAveragePooling2D(name="features"),
                keras.layers.Dense(3, kernel_initializer=dense, dtype="float32", name="logits"),
            ]
        )

    return build


@pytest.fixture(scope="session")
def toy() -> dict[str, np.ndarray]:
    """Forty images, brighter in the channel of their class, with three neighbors each."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3
    images = rng.uniform(0.0, 0.5, size=(40, *SHAPE)).astype(np.float32)
    images[np.arange(40), :, :, labels] += 0.3
    neighbors = (np.arange(40)[:, None] + np.asarray([3, 6, 1])) % 40
    return {
        "images": images,
        "labels": labels,
        "indices": np.arange(40),
        "neighbor_images": images[neighbors],
        "neighbor_distances": rng.uniform(0.5, 1.5, size=(40, 3)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def make_batches(toy: dict[str, np.ndarray]) -> Callable[[int], tf.data.Dataset]:
    """Batches of 16, 16 and 8 images in an order fixed by the epoch."""

    def make(epoch: int = 0) -> tf.data.Dataset:
        order = np.random.default_rng(epoch).permutation(40)
        return tf.data.Dataset.from_tensor_slices({k: v[order] for k, v in toy.items()}).batch(16)

    return make
