"""Soft neighborhoods against a slow search in NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.ops.kernels import log_kernel


def slow_kernel(squared: np.ndarray, perplexity: float) -> np.ndarray:
    """One row after another, sigma by 200 halvings in float64."""
    rows = []
    for row in squared.astype(np.float64):
        low, high = -40.0, 40.0
        for _ in range(200):
            weights = np.exp(-math.exp((low + high) / 2) * (row - row.min()))
            shares = weights / weights.sum()
            entropy = -(shares * np.log(np.maximum(shares, 1e-300))).sum()
            low, high = (
                ((low + high) / 2, high)
                if entropy > math.log(perplexity)
                else (
                    low,
                    (low + high) / 2,
                )
            )
        rows.append(shares)
    return np.array(rows)


def everything(squared: tf.Tensor) -> tf.Tensor:
    return tf.ones_like(squared, tf.bool)


@pytest.mark.parametrize("perplexity", [2.0, 8.0, 15.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_shares_are_those_of_a_slow_search(perplexity: float, scale: float) -> None:
    squared = np.random.default_rng(0).uniform(0.8, 1.2, (5, 20)).astype(np.float32) * scale
    found = np.exp(log_kernel(tf.constant(squared), everything(squared), perplexity))
    np.testing.assert_allclose(found, slow_kernel(squared, perplexity), rtol=2e-3, atol=1e-6)
    entropy = -(found * np.log(found)).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), perplexity, rtol=1e-3)


def test_three_neighbors_by_hand() -> None:
    """Shares 4/7, 2/7, 1/7 lie ln 2 apart: at their own perplexity distances 0, 1, 2 give them."""
    shares = np.array([4 / 7, 2 / 7, 1 / 7])
    perplexity = math.exp(-(shares * np.log(shares)).sum())
    found = tf.exp(log_kernel(tf.constant([[0.0, 1.0, 2.0]]), tf.fill([1, 3], True), perplexity))
    np.testing.assert_allclose(found, [shares], rtol=1e-3)


def test_entries_that_are_not_usable_take_no_part() -> None:
    squared = tf.constant([[9.0, 0.5, 1.0, 1.5], [0.5, 0.0, 1.0, 1.5]])
    usable = tf.constant([[False, True, True, True], [True, False, True, True]])
    found = log_kernel(squared, usable, 2.0)
    alone = log_kernel(tf.constant([[0.5, 1.0, 1.5]]), tf.fill([1, 3], True), 2.0)
    np.testing.assert_allclose(tf.boolean_mask(found, usable), np.tile(alone, 2)[0], rtol=1e-4)
    np.testing.assert_array_equal(tf.boolean_mask(found, ~usable), [0.0, 0.0])


def test_gradient_is_that_of_a_sigma_that_follows_the_distances() -> None:
    """Against differences of the slow search, for a function of the shares."""
    squared = np.random.default_rng(1).uniform(0.5, 2.0, (1, 6))
    factors = np.arange(6.0)

    def slow(values: np.ndarray) -> float:
        return float((slow_kernel(values[None], 3.0) * factors).sum())

    values = tf.constant(squared, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(tf.exp(log_kernel(values, everything(values), 3.0)) * factors)
    step = 1e-4 * np.eye(6)
    expected = [(slow(squared[0] + row) - slow(squared[0] - row)) / 2e-4 for row in step]
    np.testing.assert_allclose(tape.gradient(total, values)[0], expected, rtol=5e-3, atol=1e-3)


def test_a_common_factor_has_no_gradient() -> None:
    base = tf.constant(np.random.default_rng(2).uniform(0.5, 2.0, (4, 9)), tf.float32)
    factor = tf.constant(1.7)
    with tf.GradientTape() as tape:
        tape.watch(factor)
        shares = tf.exp(log_kernel(factor * base, everything(base), 3.0))
        total = tf.reduce_sum(shares * tf.range(9.0))
    assert abs(float(tape.gradient(total, factor))) < 1e-3


@pytest.mark.parametrize(
    "row",
    [[0.0] * 6, [1.0] * 6, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1e-9, 1.0, 1.0, 1e9, 1.0]],
    ids=["all zero", "all equal", "duplicates beyond the perplexity", "far apart"],
)
def test_rows_without_such_a_sigma_stay_finite(row: list[float]) -> None:
    squared = tf.constant([row])
    with tf.GradientTape() as tape:
        tape.watch(squared)
        found = log_kernel(squared, everything(squared), 3.0)
        total = tf.reduce_sum(tf.exp(found) * tf.range(6.0))
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(found)), 1.0, rtol=1e-5)
    assert np.isfinite(tape.gradient(total, squared)).all()
    assert np.isfinite(found).all()


def test_compiles_to_the_same() -> None:
    squared = tf.constant(np.random.default_rng(3).uniform(size=(4, 9)), tf.float32)
    compiled = tf.function(log_kernel, jit_compile=True)(squared, everything(squared), 3.0)
    np.testing.assert_allclose(
        compiled, log_kernel(squared, everything(squared), 3.0), rtol=1e-3, atol=1e-4
    )
