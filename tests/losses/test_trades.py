import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses import trades_loss


def test_by_hand() -> None:
    # f(x) = (3/4, 1/4), then (1/2, 1/2); f(x') = (1/4, 3/4), then (1/2, 1/2).
    clean = tf.math.log([[0.75, 0.25], [0.5, 0.5]])
    adversarial = tf.math.log([[0.25, 0.75], [0.5, 0.5]])
    loss = trades_loss(tf.constant([0, 1]), clean, adversarial, beta=2.0)
    # KL = 3/4 log 3 + 1/4 log(1/3) = 1/2 log 3.
    expected = [-math.log(0.75) + 2.0 * 0.5 * math.log(3.0), math.log(2.0)]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_agrees_with_a_slow_numpy_version() -> None:
    rng = np.random.default_rng(0)
    labels = np.asarray([2, 0, 1, 2])
    clean, adversarial = 3.0 * rng.normal(size=(2, 4, 3))
    loss = trades_loss(labels, tf.constant(clean), tf.constant(adversarial))
    expected = []
    for label, one, other in zip(labels, clean, adversarial, strict=True):
        p = [math.exp(value) / sum(math.exp(item) for item in one) for value in one]
        q = [math.exp(value) / sum(math.exp(item) for item in other) for value in other]
        divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        expected.append(-math.log(p[label]) + 6.0 * divergence)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_gradient_flows_into_both_logits() -> None:
    """In closed form; the reference code does not hold the clean logits fixed either."""
    clean, adversarial = tf.Variable([[1.0, -1.0, 0.5]]), tf.Variable([[-0.5, 0.25, 1.0]])
    with tf.GradientTape() as tape:
        loss = trades_loss(tf.constant([0]), clean, adversarial, beta=4.0)
    p, q = tf.nn.softmax(clean).numpy(), tf.nn.softmax(adversarial).numpy()
    divergence = np.sum(p * np.log(p / q))
    by_clean, by_adversarial = tape.gradient(loss, [clean, adversarial])
    expected = p - [[1.0, 0.0, 0.0]] + 4.0 * p * (np.log(p / q) - divergence)
    np.testing.assert_allclose(by_clean, expected, rtol=1e-5)
    np.testing.assert_allclose(by_adversarial, 4.0 * (q - p), rtol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 6.0])
def test_image_that_does_not_move_costs_its_cross_entropy(beta: float) -> None:
    logits = tf.constant([[2.0, -1.0, 0.0]])
    loss = trades_loss(tf.constant([1]), logits, logits, beta=beta)
    expected = math.log(math.exp(2.0) + math.exp(-1.0) + 1.0) + 1.0
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)


def test_half_precision_logits_are_measured_in_float32() -> None:
    logits = tf.cast([[600.0, 0.0]], tf.float16)
    loss = trades_loss(tf.constant([1]), logits, -logits, beta=1.0)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, [600.0 + 600.0], rtol=1e-6)
