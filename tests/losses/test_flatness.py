"""Local flatness by hand, and against the gradient it approximates."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses.flatness import flatness_loss
from lsp_keras.losses.flatness_by_differences import flatness_by_differences


def test_norm_of_the_gradient_by_hand() -> None:
    gradients = tf.constant([[[[1.0, -2.0]], [[0.0, 0.5]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    np.testing.assert_array_equal(flatness_loss(gradients), [3.5, 0.0])


def test_slope_between_two_points_by_hand() -> None:
    labels = tf.constant([0, 1, 0])
    ahead = tf.constant([[0.0, 0.0], [math.log(3.0), 0.0], [1.0, 1.0]])
    behind = tf.constant([[math.log(3.0), 0.0], [0.0, 0.0], [5.0, 5.0]])
    # Losses ahead: ln 2, ln 4, ln 2; behind: ln 4/3, ln 2, ln 2.
    expected = [math.log(1.5) / 0.1, math.log(2.0) / 0.1, 0.0]
    slopes = flatness_by_differences(labels, ahead, behind, distance=0.1)
    np.testing.assert_allclose(slopes, expected, rtol=1e-5, atol=1e-5)


def test_falling_loss_counts_by_its_size() -> None:
    labels, low, high = tf.constant([0]), tf.constant([[2.0, 0.0]]), tf.constant([[0.0, 1.0]])
    rising = flatness_by_differences(labels, high, low, distance=0.1)
    np.testing.assert_array_equal(flatness_by_differences(labels, low, high, distance=0.1), rising)


@pytest.mark.parametrize("distance", [1e-1, 1e-2])
def test_slope_of_a_linear_model_tends_to_its_gradient(distance: float) -> None:
    """The gradient of a linear classifier's cross-entropy is W (p - y), in NumPy."""
    rng = np.random.default_rng(0)
    kernel, points = rng.normal(size=(12, 4)), rng.uniform(size=(5, 12))
    labels = np.arange(5) % 4
    exponentials = np.exp(points @ kernel)
    errors = exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(4)[labels]
    gradients = errors @ kernel.T
    offset = 0.5 * distance * np.sign(gradients)
    slopes = flatness_by_differences(
        tf.constant(labels),
        tf.constant((points + offset) @ kernel),
        tf.constant((points - offset) @ kernel),
        distance=distance,
    )
    # Of second order in the distance, with a third derivative of at most |W|_1 cubed.
    np.testing.assert_allclose(slopes, np.abs(gradients).sum(axis=1), rtol=40 * distance**2)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_gradient_is_finite_at_extreme_logits(scale: float) -> None:
    logits = tf.constant(scale * np.random.default_rng(1).normal(size=(2, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        slopes = flatness_by_differences(
            tf.constant([0, 1, 2]), logits[0], logits[1], distance=1e-3
        )
    assert np.isfinite(slopes).all()
    assert np.isfinite(tape.gradient(slopes, logits)).all()
