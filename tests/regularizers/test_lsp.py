from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses import lsp_loss
from lsp_keras.regularizers import LSP, Anchor, Step
from lsp_keras.validation import InputError

BATCH, NEIGHBORS = 4, 3


@pytest.fixture
def classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=2)),
        ]
    )


@pytest.fixture(scope="module")
def batch() -> dict[str, tf.Tensor]:
    rng = np.random.default_rng(0)
    return {
        "images": tf.constant(rng.random((BATCH, 8, 8, 3), dtype=np.float32)),
        "neighbor_images": tf.constant(rng.random((BATCH, NEIGHBORS, 8, 8, 3), dtype=np.float32)),
        "neighbor_distances": tf.constant(rng.random((BATCH, NEIGHBORS), dtype=np.float32)),
    }


def step_of(
    classifier: keras.Model, batch: dict[str, tf.Tensor], logits: tf.Tensor, **riders: tf.Tensor
) -> Step:
    zero = tf.constant(0, tf.int64)
    return Step(classifier, batch, Anchor(batch["images"], logits, riders), zero, zero)


def copy_of(classifier: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(classifier)
    copy.set_weights(classifier.get_weights())
    return copy


def moving_mean(classifier: keras.Model) -> np.ndarray:
    return np.asarray(classifier.layers[1].moving_mean)


@pytest.mark.parametrize(
    ("mode", "training", "moves"),
    [("separate", True, False), ("separate_update", True, True), ("inference", False, False)],
)
def test_neighbors_pass_batch_norm_as_asked(
    mode: Any, training: bool, moves: bool, classifier: keras.Model, batch: dict[str, tf.Tensor]
) -> None:
    twin, before = copy_of(classifier), moving_mean(classifier)
    anchor = tf.random.stateless_normal([BATCH, 3], seed=[0, 1])
    loss = LSP(neighbor_batch_norm=mode).terms(step_of(classifier, batch, anchor))["lsp"]
    images = tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3])
    logits = tf.reshape(twin(images, training=training), [BATCH, NEIGHBORS, 3])
    expected = lsp_loss(batch["neighbor_distances"], anchor, logits)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    expected_mean = moving_mean(twin) if moves else before
    np.testing.assert_allclose(moving_mean(classifier), expected_mean, rtol=1e-6)
    assert np.abs(moving_mean(classifier) - before).max() > 0.01 or not moves


def test_separate_pass_in_a_graph_leaves_the_moving_averages_alone(
    classifier: keras.Model, batch: dict[str, tf.Tensor]
) -> None:
    before = classifier.get_weights()
    unit = LSP()

    @tf.function
    def terms() -> tf.Tensor:
        return unit.terms(step_of(classifier, batch, tf.zeros([BATCH, 3])))["lsp"]

    terms()
    for one, other in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_joint_neighbors_ride_with_the_anchors(
    classifier: keras.Model, batch: dict[str, tf.Tensor]
) -> None:
    unit = LSP(neighbor_batch_norm="joint", name="local")
    np.testing.assert_array_equal(
        unit.riders(batch), tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3])
    )
    assert LSP().riders(batch) is None
    anchor, riders = tf.eye(BATCH, 3), tf.random.stateless_normal([12, 3], seed=[0, 2])
    loss = unit.terms(step_of(classifier, batch, anchor, local=riders))["local"]
    expected = lsp_loss(
        batch["neighbor_distances"], anchor, tf.reshape(riders, [BATCH, NEIGHBORS, 3])
    )
    np.testing.assert_allclose(loss, expected)


@pytest.mark.parametrize("flows", [True, False])
def test_gradient_into_the_neighbors_can_be_stopped(
    flows: bool, classifier: keras.Model, batch: dict[str, tf.Tensor]
) -> None:
    unit = LSP(neighbor_gradient=flows)
    with tf.GradientTape() as tape:
        loss = unit.terms(step_of(classifier, batch, tf.eye(BATCH, 3)))["lsp"]
    kernel = classifier.layers[-1].kernel
    gradient = tape.gradient(loss, kernel)
    assert (gradient is not None) == flows
    if flows:
        assert np.abs(gradient).max() > 1e-3


def test_options_reach_the_formula(classifier: keras.Model, batch: dict[str, tf.Tensor]) -> None:
    anchor = tf.eye(BATCH, 3)
    unit = LSP(divergence="kl", normalize_logits=True, neighbor_batch_norm="inference")
    loss = unit.terms(step_of(classifier, batch, anchor))["lsp"]
    logits = classifier(tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3]))
    expected = lsp_loss(
        batch["neighbor_distances"],
        anchor,
        tf.reshape(logits, [BATCH, NEIGHBORS, 3]),
        divergence="kl",
        normalize_logits=True,
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_batches_without_neighbors_are_refused(
    classifier: keras.Model, batch: dict[str, tf.Tensor]
) -> None:
    plain = {"images": batch["images"], "labels": tf.zeros([BATCH], tf.int64)}
    with pytest.raises(InputError, match=r"Received: images, labels\. Pass `neighbors=`"):
        LSP().terms(step_of(classifier, plain, tf.eye(BATCH, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "`weight` must be zero or more"),
        ({"divergence": "mse"}, "Unknown divergence: .* It must be one of"),
        ({"neighbor_batch_norm": "seperate"}, "Did you mean 'separate'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LSP(**options)  # type: ignore[arg-type]
