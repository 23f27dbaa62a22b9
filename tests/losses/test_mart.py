import math

import numpy as np
import tensorflow as tf

from lsp_keras.losses import mart_loss
from lsp_keras.losses._terms import margin_term, weighted_kl

# Labels, f(x) and f(x'): rightly predicted clean, and wrongly predicted in both.
LABELS = tf.constant([0, 1])
CLEAN = [[0.5, 0.25, 0.25], [0.6, 0.2, 0.2]]
ADVERSARIAL = [[0.25, 0.5, 0.25], [0.8, 0.1, 0.1]]


def slow_mart(labels: np.ndarray, clean: np.ndarray, adversarial: np.ndarray) -> list[float]:
    """The formula with beta 5, one example at a time, from probabilities in float64."""
    losses = []
    for label, p, q in zip(labels, clean, adversarial, strict=True):
        wrong = max(value for place, value in enumerate(q) if place != label)
        boosted = -math.log(q[label]) - math.log(1.0001 - wrong)
        divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        losses.append(boosted + 5.0 * divergence * (1.0 - p[label]))
    return losses


def test_by_hand() -> None:
    loss = mart_loss(LABELS, tf.math.log(CLEAN), tf.math.log(ADVERSARIAL), beta=2.0)
    boosted = [-math.log(0.25) - math.log(0.5001), -math.log(0.1) - math.log(0.2001)]
    divergences = [
        0.5 * math.log(2.0) + 0.25 * math.log(0.5),
        0.6 * math.log(0.75) + 2 * 0.2 * math.log(2.0),
    ]
    expected = [boosted[0] + 2.0 * divergences[0] * 0.5, boosted[1] + 2.0 * divergences[1] * 0.8]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_terms_by_hand() -> None:
    # The label's own 0.8 is no wrong class.
    found = margin_term(tf.constant([1, 0]), tf.math.log(ADVERSARIAL))
    np.testing.assert_allclose(found, [-math.log(0.7501), -math.log(0.9001)], rtol=1e-5)
    found = weighted_kl(LABELS, tf.math.log(CLEAN), tf.math.log(ADVERSARIAL))
    np.testing.assert_allclose(found[0], 0.5 * 0.25 * math.log(2.0), rtol=1e-6)


def test_agrees_with_a_slow_numpy_version() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=7)
    clean, adversarial = rng.dirichlet(np.ones(4), size=(2, 7))
    loss = mart_loss(labels, tf.constant(np.log(clean)), tf.constant(np.log(adversarial)))
    np.testing.assert_allclose(loss, slow_mart(labels, clean, adversarial), rtol=1e-4)


def test_gradient_agrees_with_finite_differences() -> None:
    """Both by the clean logits, through the weight too, and by the adversarial ones."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 1, 4))
    clean, adversarial = tf.Variable(logits[0], tf.float32), tf.Variable(logits[1], tf.float32)
    labels = np.asarray([2])
    with tf.GradientTape() as tape:
        loss = mart_loss(labels, clean, adversarial)

    def slow(moved: np.ndarray) -> float:
        exponentials = np.exp(moved)
        return slow_mart(labels, *(exponentials / exponentials.sum(axis=2, keepdims=True)))[0]

    for which, gradient in enumerate(tape.gradient(loss, [clean, adversarial])):
        for place in range(4):
            step = np.zeros((2, 1, 4))
            step[which, 0, place] = 1e-5
            expected = (slow(logits + step) - slow(logits - step)) / 2e-5
            np.testing.assert_allclose(gradient[0, place], expected, rtol=1e-3, atol=1e-4)


def test_certain_mistake_costs_a_finite_margin_with_a_gradient_of_zero() -> None:
    logits = tf.Variable([[-1e4, 1e4, 0.0]])
    with tf.GradientTape() as tape:
        value = margin_term(tf.constant([0]), logits)
    np.testing.assert_allclose(value, [-math.log(1e-4)], rtol=1e-3)
    np.testing.assert_array_equal(tape.gradient(value, logits), [[0.0, 0.0, 0.0]])
