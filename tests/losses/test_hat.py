import math

import numpy as np
import tensorflow as tf

from lsp_keras.losses import hat_loss, trades_loss


def test_by_hand() -> None:
    clean = tf.math.log([[0.75, 0.25], [0.5, 0.5]])
    adversarial = tf.math.log([[0.25, 0.75], [0.5, 0.5]])
    stretched = tf.math.log([[0.125, 0.875], [0.2, 0.8]])
    labels, helper_labels = tf.constant([0, 1]), tf.constant([1, 0])
    loss = hat_loss(labels, clean, adversarial, stretched, helper_labels, beta=2.0, gamma=3.0)
    # KL = 3/4 log 3 + 1/4 log(1/3) = 1/2 log 3.
    expected = [
        -math.log(0.75) + 2.0 * 0.5 * math.log(3.0) - 3.0 * math.log(0.875),
        -math.log(0.5) - 3.0 * math.log(0.2),
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_agrees_with_a_slow_numpy_version() -> None:
    rng = np.random.default_rng(0)
    labels, helper_labels = rng.integers(3, size=(2, 5))
    probabilities = rng.dirichlet(np.ones(3), size=(3, 5))
    expected = []
    for row in range(5):
        p, q, stretched = probabilities[:, row]
        divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        helped = -math.log(stretched[helper_labels[row]])
        expected.append(-math.log(p[labels[row]]) + 2.5 * divergence + 0.5 * helped)
    clean, adversarial, outer = (tf.constant(np.log(part), tf.float32) for part in probabilities)
    found = hat_loss(labels, clean, adversarial, outer, helper_labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_without_the_helper_it_is_trades() -> None:
    rng = np.random.default_rng(1)
    clean, adversarial, stretched = (
        tf.constant(part, tf.float32) for part in rng.normal(size=(3, 4, 3))
    )
    labels, helper_labels = np.asarray([0, 1, 2, 0]), np.asarray([1, 1, 1, 1])
    found = hat_loss(labels, clean, adversarial, stretched, helper_labels, gamma=0.0)
    np.testing.assert_array_equal(found, trades_loss(labels, clean, adversarial, beta=2.5))
