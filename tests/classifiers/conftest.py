"""A linear classifier of small images, whose logits are known in closed form."""

import keras
import numpy as np
import pytest

SHAPE = (4, 4, 1)
CLASSES = 3


@pytest.fixture(scope="session")
def kernel() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(16, CLASSES)).astype(np.float32)


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((40, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="session")
def logits(kernel: np.ndarray, images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), 16) @ kernel


@pytest.fixture
def linear(kernel: np.ndarray):
    """Builds the classifier between what comes before it and what comes after."""

    def build(before=(), after=(), *, activation=None, shape=SHAPE, scale=1.0) -> keras.Model:
        inputs = keras.Input(shape)
        values = inputs
        for layer in before:
            values = layer(values)
        dense = keras.layers.Dense(CLASSES, activation=activation)
        values = dense(keras.layers.Flatten()(values))
        dense.set_weights([kernel * scale, np.zeros(CLASSES)])
        for layer in after:
            values = layer(values)
        return keras.Model(inputs, values)

    return build
