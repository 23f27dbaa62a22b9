"""InfoNCE by hand and against slow NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses.info_nce import info_nce


def unit_rows(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 5))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_two_axes_by_hand() -> None:
    queries = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    keys = tf.constant([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    negatives = tf.constant([[0.0, 1.0]])
    losses = info_nce(queries, keys, negatives, temperature=0.5)
    # Scaled similarities (own, other): (2, 0), (0, 2), (-2, 0).
    expected = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(2)), math.log(1 + math.exp(2))]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_equals_slow_numpy() -> None:
    queries, keys, negatives = unit_rows(0, 4), unit_rows(1, 4), unit_rows(2, 7)
    expected = []
    for query, key in zip(queries, keys, strict=True):
        own = math.exp(query @ key / 0.1)
        others = sum(math.exp(query @ other / 0.1) for other in negatives)
        expected.append(-math.log(own / (own + others)))
    losses = info_nce(
        tf.constant(queries), tf.constant(keys), tf.constant(negatives), temperature=0.1
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_keys_that_tell_nothing_cost_the_logarithm_of_their_number() -> None:
    same = tf.ones([3, 1])
    losses = info_nce(same, same, tf.ones([15, 1]), temperature=0.1)
    np.testing.assert_allclose(losses, [math.log(16)] * 3, rtol=1e-6)


def test_low_temperature_stays_finite() -> None:
    losses = info_nce(
        tf.constant([[1.0]]), tf.constant([[-1.0]]), tf.constant([[1.0]]), temperature=1e-3
    )
    assert float(losses[0]) == pytest.approx(2000.0)
