"""Every registered regularizer: terms and weights that agree, settings that survive."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import registry
from lsp_keras.regularizers import Anchor, Batch, Regularizer, Step

Kind = Callable[..., Regularizer]
BATCH, NEIGHBORS, CLASSES = 6, 3, 4
SHAPE = (8, 8, 3)


@pytest.fixture(params=registry.names("regularizer"))
def kind(request: pytest.FixtureRequest) -> Kind:
    return registry.get("regularizer", request.param)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    """Smooth, since some terms need second derivatives."""
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("silu"),
            keras.layers.GlobalAveragePooling2D(name="features"),
            keras.layers.Dense(
                CLASSES, kernel_initializer=keras.initializers.HeNormal(seed=2), name="logits"
            ),
        ]
    )


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(0)
    return {
        "images": tf.constant(rng.random((BATCH, *SHAPE), dtype=np.float32)),
        "labels": tf.constant(np.arange(BATCH) % CLASSES),
        "indices": tf.range(BATCH, dtype=tf.int64),
        "neighbor_images": tf.constant(rng.random((BATCH, NEIGHBORS, *SHAPE), dtype=np.float32)),
        "neighbor_distances": tf.constant(rng.random((BATCH, NEIGHBORS), dtype=np.float32)),
        "features": tf.constant(rng.random((BATCH, 5), dtype=np.float32)),
    }


def step_of(classifier: keras.Model, batch: Batch, regularizer: Regularizer) -> Step:
    riders = regularizer.riders(batch)
    rider_logits = {} if riders is None else {regularizer.name: classifier(riders)}
    anchor = Anchor(batch["images"], classifier(batch["images"]), rider_logits)
    zero = tf.constant(0, tf.int64)
    regularizer.check(classifier)
    prepared = regularizer.prepare(classifier, batch, adversarial=None, seed=zero)
    return Step(classifier, batch, anchor, zero, zero, {regularizer.name: prepared})


def test_terms_have_the_names_of_their_weights_and_one_value_per_example(
    kind: Kind, classifier: keras.Model, batch: Batch
) -> None:
    regularizer = kind()
    terms = regularizer.terms(step_of(classifier, batch, regularizer))
    assert set(terms) == set(regularizer.term_weights(0))
    for values in terms.values():
        assert values.shape == (BATCH,)
        assert values.dtype == tf.float32
        assert np.isfinite(values).all()


def test_gradient_of_every_weighted_term_is_finite(
    kind: Kind, classifier: keras.Model, batch: Batch
) -> None:
    regularizer = kind()
    weights = regularizer.term_weights(0)
    with tf.GradientTape() as tape:
        terms = regularizer.terms(step_of(classifier, batch, regularizer))
        loss = tf.add_n([weights[name] * tf.reduce_mean(terms[name]) for name in weights])
    gradients = tape.gradient(loss, classifier.trainable_variables)
    present = [gradient for gradient in gradients if gradient is not None]
    assert present
    assert all(np.isfinite(gradient).all() for gradient in present)


def test_config_gives_an_equal_regularizer(
    kind: Kind, classifier: keras.Model, batch: Batch
) -> None:
    regularizer = kind(name="another")
    copy = kind(**regularizer.get_config())
    assert repr(copy) == repr(regularizer)
    expected = regularizer.terms(step_of(classifier, batch, regularizer))
    for name, values in copy.terms(step_of(classifier, batch, copy)).items():
        np.testing.assert_array_equal(values, expected[name])


def test_names_of_two_of_a_kind_can_differ(kind: Kind) -> None:
    assert not set(kind().term_weights(0)) & set(kind(name="another").term_weights(0))
