"""Every registered divergence: zero and flat at equality, positive elsewhere, finite everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import registry
from lsp_keras.ops import divergences


@pytest.mark.parametrize("name", registry.names("divergence"))
def test_equal_distributions_are_at_a_minimum_of_zero(name: str) -> None:
    shares = np.asarray([[0.125] * 8, [0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0]], np.float32)
    estimate = tf.Variable(shares)
    with tf.GradientTape() as tape:
        value = divergences.get(name)(tf.constant(shares), estimate)
    # Only directions that keep the sum of the shares count.
    gradient = np.asarray(tape.gradient(value, estimate))
    along = (gradient - gradient.mean(axis=1, keepdims=True))[shares > 0]
    np.testing.assert_allclose(value, [0.0, 0.0], atol=1e-6)
    # At an entry of zero the floor of `kl` shows.
    if name != "kl":
        np.testing.assert_allclose(along, 0.0, atol=1e-5)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", registry.names("divergence"))
def test_is_positive_between_random_distributions(name: str) -> None:
    rng = np.random.default_rng(0)
    target, estimate = rng.dirichlet(np.ones(5), size=(2, 200)).astype(np.float32)
    assert np.all(divergences.get(name)(target, estimate).numpy() > 0)


@pytest.mark.parametrize("name", registry.names("divergence"))
def test_value_and_gradient_are_finite_at_the_corners(name: str) -> None:
    target = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    estimate = tf.Variable([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
        value = divergences.get(name)(target, estimate)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, estimate)).all()
