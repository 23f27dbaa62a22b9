"""Images and a step for regularizers that compare clean images with others."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.regularizers import Anchor, Batch, Regularizer, Step

PreparedStep = Callable[..., Step]


@pytest.fixture(scope="session")
def labeled() -> dict[str, tf.Tensor]:
    """Six images of three classes, a margin of 0.1 away from black and white."""
    images = np.random.default_rng(0).uniform(0.1, 0.9, size=(6, 8, 8, 3))
    return {
        "images": tf.constant(images, tf.float32),
        "labels": tf.range(6, dtype=tf.int64) % 3,
        "indices": tf.range(6, dtype=tf.int64),
    }


@pytest.fixture(scope="session")
def prepared_step() -> PreparedStep:
    """A step as the trainer makes it, whose regularizer has prepared."""

    def build(
        unit: Regularizer,
        classifier: keras.Model,
        batch: Batch,
        adversarial: tf.Tensor | None = None,
        seed: int = 0,
    ) -> Step:
        key = tf.constant(seed, tf.int64)
        prepared = unit.prepare(classifier, batch, adversarial=adversarial, seed=key)
        images = batch["images"] if adversarial is None else adversarial
        anchor = Anchor(images, classifier(images, training=True))
        return Step(classifier, batch, anchor, key, key, {unit.name: prepared})

    return build
