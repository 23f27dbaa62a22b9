import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses.smoothed_cross_entropy import smoothed_cross_entropy
from lsp_keras.ops.objectives import cross_entropy

LOGITS = np.asarray([[2.0, -1.0, 0.5, 0.0], [0.0, 0.0, 3.0, 1.0]], np.float32)
LABELS = np.asarray([0, 3])


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 0.9])
def test_is_the_cross_entropy_of_the_mixed_label(smoothing: float) -> None:
    target = (1 - smoothing) * np.eye(4)[LABELS] + smoothing / 4
    logits = LOGITS.astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -(target * log_probabilities).sum(axis=1)
    values = smoothed_cross_entropy(LABELS, tf.constant(LOGITS), smoothing=smoothing)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_without_smoothing_is_the_cross_entropy_to_the_last_bit() -> None:
    values = smoothed_cross_entropy(LABELS, tf.constant(LOGITS), smoothing=0.0)
    np.testing.assert_array_equal(values, cross_entropy(LABELS, LOGITS))


def test_is_smallest_at_the_smoothed_probabilities() -> None:
    """Four classes, smoothing 0.2: 0.85 for the true one and 0.05 for each other."""
    best = tf.constant(np.log([[0.05, 0.85, 0.05, 0.05]]), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(best)
        loss = smoothed_cross_entropy(tf.constant([1]), best, smoothing=0.2)
    np.testing.assert_allclose(tape.gradient(loss, best), np.zeros((1, 4)), atol=1e-6)
    assert float(loss[0]) == pytest.approx(-(0.85 * np.log(0.85) + 0.15 * np.log(0.05)), rel=1e-5)
