import numpy as np
import pytest
import tensorflow as tf
from scipy.special import rel_entr, softmax

from lsp_keras.losses.jensen_shannon import jensen_shannon


def test_hand_computed_value() -> None:
    # Predictions (1/2, 1/2) and (1/4, 3/4), mean (3/8, 5/8).
    logits = tf.math.log(tf.constant([[[0.5, 0.5], [0.25, 0.75]]]))
    first = 0.5 * np.log(0.5 / 0.375) + 0.5 * np.log(0.5 / 0.625)
    second = 0.25 * np.log(0.25 / 0.375) + 0.75 * np.log(0.75 / 0.625)
    np.testing.assert_allclose(jensen_shannon(logits), [(first + second) / 2], rtol=1e-5)


def test_three_views_as_in_slow_numpy() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 3, 5))
    predictions = softmax(logits, axis=2)
    mean = predictions.mean(axis=1, keepdims=True)
    expected = rel_entr(predictions, mean).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(jensen_shannon(logits), expected, rtol=1e-4)


def test_views_that_agree_differ_by_nothing_and_disjoint_ones_by_the_maximum() -> None:
    same = tf.constant([[[1.0, 3.0, 0.0]] * 3])
    np.testing.assert_allclose(jensen_shannon(same), [0.0], atol=1e-6)
    disjoint = 100.0 * tf.eye(3)[tf.newaxis]
    np.testing.assert_allclose(jensen_shannon(disjoint), [np.log(3)], rtol=1e-5)


def test_order_of_the_views_does_not_matter() -> None:
    logits = np.random.default_rng(1).normal(size=(4, 3, 5)).astype(np.float32)
    np.testing.assert_allclose(
        jensen_shannon(logits), jensen_shannon(logits[:, ::-1]), rtol=1e-5, atol=1e-7
    )


def test_gradient_is_that_of_small_differences() -> None:
    logits = np.random.default_rng(2).normal(size=(1, 3, 4)).astype(np.float32)
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value = jensen_shannon(variable)
    gradient = tape.gradient(value, variable).numpy()[0]

    def slow(values: np.ndarray) -> float:
        predictions = softmax(values.astype(np.float64), axis=1)
        return rel_entr(predictions, predictions.mean(axis=0)).sum(axis=1).mean()

    for place in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[place] = 1e-5
        slope = (slow(logits[0] + step) - slow(logits[0] - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-5)
