import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.ops.norms import expand, norm_of, nuclear_norm, unit_largest
from lsp_keras.validation import InputError


@pytest.mark.parametrize(("norm", "expected"), [("linf", 4.0), ("l2", 5.0), ("l1", 7.0)])
def test_norms_of_a_3_4_image(norm, expected) -> None:
    values = tf.constant([[[[3.0], [-4.0]]], [[[0.0], [0.0]]]])
    np.testing.assert_allclose(norm_of(values, norm), [expected, 0.0])


def test_gradient_of_the_length_is_the_direction_and_zero_at_zero() -> None:
    values = tf.constant([[3.0, -4.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        lengths = norm_of(values, "l2")
    np.testing.assert_allclose(tape.gradient(lengths, values), [[0.6, -0.8], [0.0, 0.0]])


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1e-6, 1e18, 1e37])
def test_a_length_and_its_gradient_neither_underflow_nor_overflow(scale) -> None:
    values = tf.constant([[3.0, -4.0]]) * scale
    with tf.GradientTape() as tape:
        tape.watch(values)
        lengths = norm_of(values, "l2")
    np.testing.assert_allclose(lengths, [5.0 * scale], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(lengths, values), [[0.6, -0.8]], rtol=1e-6)


def test_the_largest_entry_becomes_one_and_zero_stays_zero() -> None:
    values = tf.constant([[1e-35, -4e-35], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
    found = unit_largest(values).numpy()
    np.testing.assert_allclose(found[0], [0.25, -1.0], rtol=1e-6)
    np.testing.assert_array_equal(found[1], 0.0)
    # What is not a number must surface.
    assert np.isnan(found[2]).all()
    assert np.isnan(found[3, 0])


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(InputError, match="`norm` must be one of 'linf', 'l2', 'l1'"):
        norm_of(tf.zeros([1, 2]), "l3")  # type: ignore[arg-type]


def test_expand_multiplies_each_example_by_its_own_factor() -> None:
    images = tf.ones([2, 1, 2, 1])
    scaled = images * expand(tf.constant([2.0, 3.0]), images)
    np.testing.assert_allclose(tf.reshape(scaled, [2, 2]), [[2, 2], [3, 3]])


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 4)])
def test_nuclear_norm_is_the_sum_of_singular_values(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = np.linalg.svd(matrix, compute_uv=False).sum()
    assert float(nuclear_norm(tf.constant(matrix))) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradient_of_the_nuclear_norm_is_its_polar_factor(rank: int) -> None:
    """Also where singular values are zero, as those of logits that share their sum are."""
    rng = np.random.default_rng(1)
    matrix = (rng.normal(size=(6, rank)) @ rng.normal(size=(rank, 3))).astype(np.float32)
    left, _, right = np.linalg.svd(matrix)
    values = tf.constant(matrix)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = 2.0 * nuclear_norm(values)
    expected = 2.0 * left[:, :rank] @ right[:rank]
    np.testing.assert_allclose(tape.gradient(total, values), expected, atol=1e-3)


def test_nuclear_norm_at_zero_and_at_nan() -> None:
    values = tf.zeros([3, 2])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = nuclear_norm(values)
    assert float(total) == 0.0
    np.testing.assert_array_equal(tape.gradient(total, values), np.zeros([3, 2]))
    assert np.isnan(nuclear_norm(tf.constant([[1.0, np.nan], [0.0, 1.0]])))
