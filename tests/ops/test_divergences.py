import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.ops import divergences
from lsp_keras.ops.divergences import DIVERGENCES
from lsp_keras.validation import InputError

BY_HAND = {
    "kl": 0.5 * math.log(2) + 0.5 * math.log(2 / 3),
    "cosine": 1 - 0.5 / math.sqrt(0.5 * 0.625),
    "l1": 0.5,
    "l2": math.sqrt(0.125),
    "sum_of_squares": 0.125,
    "mean_of_squares": 0.0625,
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_hand_computed_value(name: str) -> None:
    value = divergences.get(name)(tf.constant([[0.5, 0.5]]), tf.constant([[0.25, 0.75]]))
    np.testing.assert_allclose(value, [BY_HAND[name]], rtol=1e-5)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_equal_distributions_are_at_a_minimum_of_zero(name: str) -> None:
    shares = np.asarray([[0.125] * 8, [0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0]], np.float32)
    estimate = tf.Variable(shares)
    with tf.GradientTape() as tape:
        value = divergences.get(name)(tf.constant(shares), estimate)
    # Only directions that keep the sum of the shares count.
    gradient = np.asarray(tape.gradient(value, estimate))
    along = (gradient - gradient.mean(axis=1, keepdims=True))[shares > 0]
    np.testing.assert_allclose(value, [0.0, 0.0], atol=1e-6)
    if name != "kl":
        np.testing.assert_allclose(along, 0.0, atol=1e-5)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_is_positive_between_random_distributions(name: str) -> None:
    rng = np.random.default_rng(0)
    target, estimate = rng.dirichlet(np.ones(5), size=(2, 200)).astype(np.float32)
    assert np.all(divergences.get(name)(target, estimate).numpy() > 0)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_value_and_gradient_are_finite_at_the_corners(name: str) -> None:
    target = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    estimate = tf.Variable([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
        value = divergences.get(name)(target, estimate)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, estimate)).all()


def test_kl_of_a_missing_entry_is_that_of_the_floor() -> None:
    value = divergences.kl(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]]))
    np.testing.assert_allclose(value, [-math.log(1e-7)], rtol=1e-6)


def test_unknown_name_lists_the_choices() -> None:
    with pytest.raises(InputError, match=r"`divergence` must be one of 'kl', .*'l2'.*'mse'"):
        divergences.get("mse")
