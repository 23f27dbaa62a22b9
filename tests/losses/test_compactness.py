"""Compactness terms by hand and against slow NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses.confidence import confidence
from lsp_keras.losses.global_compactness import global_compactness
from lsp_keras.losses.local_compactness import local_compactness
from lsp_keras.losses.smoothness import smoothness

FEATURES = tf.constant([[0.0, 0.0], [2.0, 4.0]])
ADVERSARIAL = tf.constant([[1.0, -1.0], [2.0, 2.0]])
# Predictions (3/4, 1/4) and (1/2, 1/2).
SURE, UNSURE = [[math.log(3.0), 0.0]], [[5.0, 5.0]]


def test_local_by_hand() -> None:
    np.testing.assert_allclose(local_compactness(FEATURES, ADVERSARIAL), [1.0, 1.0])


def test_global_by_hand() -> None:
    # Distances of clean image (row) to adversarial image (column): 1, 2; 3, 1.
    apart = 1 - 1 / 0.99
    two_classes = global_compactness(tf.constant([0, 1]), FEATURES, ADVERSARIAL)
    np.testing.assert_allclose(two_classes, [(1 + 3 * apart) / 2, (2 * apart + 1) / 2], rtol=1e-5)
    one_class = global_compactness(tf.constant([3, 3]), FEATURES, ADVERSARIAL)
    np.testing.assert_allclose(one_class, [2.0, 1.5])


def test_global_equals_a_slow_double_sum() -> None:
    rng = np.random.default_rng(0)
    clean, adversarial = rng.normal(size=(6, 5)), rng.normal(size=(6, 5))
    labels = np.asarray([0, 1, 2, 0, 1, 1])
    total = 0.0
    for i in range(6):
        for j in range(6):
            weight = 1.0 if labels[i] == labels[j] else 1.0 - 1.0 / 0.9
            total += weight * sum(abs(clean[i] - adversarial[j])) / 5
    values = global_compactness(
        tf.constant(labels), tf.constant(clean), tf.constant(adversarial), scale=0.9
    )
    assert float(tf.reduce_mean(values)) == pytest.approx(total / 36, rel=1e-5)


def test_smoothness_and_confidence_by_hand() -> None:
    sure, unsure = tf.constant(SURE), tf.constant(UNSURE)
    own = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    across = -0.5 * math.log(0.75) - 0.5 * math.log(0.25)
    assert float(smoothness(sure, sure)[0]) == pytest.approx(own, rel=1e-5)
    assert float(smoothness(sure, unsure)[0]) == pytest.approx(math.log(2), rel=1e-5)
    assert float(smoothness(unsure, sure)[0]) == pytest.approx(across, rel=1e-5)
    assert float(confidence(sure)[0]) == pytest.approx(own, rel=1e-5)
    assert float(confidence(unsure)[0]) == pytest.approx(math.log(2), rel=1e-5)


def test_clean_side_is_fixed() -> None:
    features, logits = tf.Variable(FEATURES), tf.Variable(SURE)
    labels = tf.constant([0, 1])
    with tf.GradientTape() as tape:
        total = (
            tf.reduce_sum(local_compactness(features, ADVERSARIAL))
            + tf.reduce_sum(global_compactness(labels, features, ADVERSARIAL))
            + tf.reduce_sum(smoothness(logits, tf.constant(UNSURE)))
        )
    assert tape.gradient(total, [features, logits]) == [None, None]


def test_confidence_falls_through_both_factors() -> None:
    logits = tf.Variable(SURE)
    with tf.GradientTape() as tape:
        value = confidence(logits)
    # The derivative of the entropy with respect to the log-odds z is -p (1 - p) z.
    slope = -0.75 * 0.25 * math.log(3.0)
    np.testing.assert_allclose(tape.gradient(value, logits), [[slope, -slope]], rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_gradients_are_finite_at_extreme_outputs(scale: float) -> None:
    outputs = tf.constant(scale * np.random.default_rng(1).normal(size=(2, 3, 4)), tf.float32)
    labels = tf.constant([1, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        values = (
            global_compactness(labels, outputs[0], outputs[1])
            + smoothness(outputs[0], outputs[1])
            + confidence(outputs[1])
        )
    assert np.isfinite(values).all()
    assert np.isfinite(tape.gradient(values, outputs)).all()
