import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses._kernel import kernel_loss
from lsp_keras.ops.kernels import log_kernel


def matrix(points: np.ndarray) -> np.ndarray:
    found = np.linalg.norm(points[:, None] - points[None], axis=2).astype(np.float32)
    np.fill_diagonal(found, np.inf)
    return found


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 9, 4)).astype(np.float32)


def test_equals_kl_of_kernels_with_a_fifth_of_equal_shares(points: np.ndarray) -> None:
    features, anchors, others = points
    squared = ((anchors[:, None] - others[None]) ** 2).sum(axis=2)
    usable = ~np.eye(9, dtype=bool)

    def rows(values: np.ndarray) -> np.ndarray:
        """Each row without the image itself, by a kernel of its own."""
        kept = tf.constant(values[usable].reshape(9, 8))
        shares = np.exp(log_kernel(kept, tf.ones_like(kept, tf.bool), 3.0))
        return 0.8 * shares + 0.2 / 8

    target, estimate = rows(np.where(usable, matrix(features), 0.0) ** 2), rows(squared)
    expected = (target * np.log(target / estimate)).sum(axis=1)
    found = kernel_loss(
        tf.constant(matrix(features)), tf.constant(anchors), tf.constant(others), perplexity=3.0
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert expected.min() > 0.1


def test_is_zero_for_the_same_places_on_any_scale(points: np.ndarray) -> None:
    same = tf.constant(20.0 * points[0])
    found = kernel_loss(tf.constant(matrix(points[0])), same, same, perplexity=3.0)
    np.testing.assert_allclose(found, np.zeros(9), atol=1e-4)


def test_stays_small_where_classes_are_drawn_together() -> None:
    """Tight classes far apart: without the equal shares this is over a thousand."""
    features = np.random.default_rng(1).normal(size=(30, 5)).astype(np.float32)
    logits = np.repeat(100.0 * np.eye(3), 10, axis=0) + 0.1 * features[:, :3]
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        found = kernel_loss(tf.constant(matrix(features)), logits, logits, perplexity=5.0)
    assert np.isfinite(tape.gradient(found, logits)).all()
    assert 0.5 < found.numpy().max() < 4.0


def test_equal_targets_are_a_control(points: np.ndarray) -> None:
    """The distances then only say who is no neighbor."""
    one, other = (
        kernel_loss(
            tf.constant(matrix(features)),
            tf.constant(points[1]),
            tf.constant(points[2]),
            perplexity=3.0,
            uniform=True,
        )
        for features in points[:2]
    )
    np.testing.assert_array_equal(one, other)
    assert one.numpy().min() > 0.1
