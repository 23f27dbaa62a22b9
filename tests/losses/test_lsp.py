import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses import lsp_loss

# Shares of distance: 1/4, 3/4 in the feature space; 5 and 15 in logit space, then 5 and 5.
FEATURE_DISTANCES = [[2.0, 6.0], [2.0, 6.0]]
ANCHORS = [[0.0, 0.0], [1.0, 0.0]]
NEIGHBORS = [[[3.0, 4.0], [9.0, -12.0]], [[1.0, 5.0], [-4.0, 0.0]]]
# Between (1/4, 3/4) and (1/2, 1/2).
BY_HAND = {
    "kl": 0.25 * math.log(0.5) + 0.75 * math.log(1.5),
    "cosine": 1 - 0.5 / math.sqrt(0.625 * 0.5),
    "l1": 0.5,
    "l2": math.sqrt(0.125),
    "sum_of_squares": 0.125,
    "mean_of_squares": 0.0625,
}


def slow_lsp(
    feature_distances: np.ndarray,
    anchors: np.ndarray,
    neighbors: np.ndarray,
    divergence: str,
    normalize: bool,
) -> np.ndarray:
    """The formulas of the paper, one example and one neighbor at a time, in float64."""

    def scaled(logits: np.ndarray) -> np.ndarray:
        return logits / math.sqrt(sum(value**2 for value in logits)) if normalize else logits

    losses = []
    for row, anchor, others in zip(feature_distances, anchors, neighbors, strict=True):
        p = [value / sum(row) for value in row]
        distances = []
        for other in others:
            gaps = [a - b for a, b in zip(scaled(anchor), scaled(other), strict=True)]
            distances.append(math.sqrt(sum(gap**2 for gap in gaps)))
        q = [value / sum(distances) for value in distances]
        pairs = list(zip(p, q, strict=True))
        squares = sum((a - b) ** 2 for a, b in pairs)
        dot = sum(a * b for a, b in pairs)
        lengths = math.sqrt(sum(a * a for a in p)) * math.sqrt(sum(b * b for b in q))
        losses.append(
            {
                "kl": sum(a * math.log(a / b) for a, b in pairs),
                "cosine": 1 - dot / lengths,
                "l1": sum(abs(a - b) for a, b in pairs),
                "l2": math.sqrt(squares),
                "sum_of_squares": squares,
                "mean_of_squares": squares / len(pairs),
            }[divergence]
        )
    return np.asarray(losses)


@pytest.mark.parametrize("divergence", BY_HAND)
def test_hand_computed_values(divergence: str) -> None:
    loss = lsp_loss(
        tf.constant(FEATURE_DISTANCES),
        tf.constant(ANCHORS),
        tf.constant(NEIGHBORS),
        divergence=divergence,
    )
    np.testing.assert_allclose(loss, [0.0, BY_HAND[divergence]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("divergence", BY_HAND)
def test_agrees_with_a_slow_numpy_version(divergence: str, normalize: bool) -> None:
    rng = np.random.default_rng(1)
    distances = rng.uniform(0.1, 2.0, size=(6, 8))
    anchors, neighbors = rng.normal(size=(6, 10)), rng.normal(size=(6, 8, 10))
    loss = lsp_loss(
        tf.constant(distances),
        tf.constant(anchors),
        tf.constant(neighbors),
        divergence=divergence,
        normalize_logits=normalize,
    )
    expected = slow_lsp(distances, anchors, neighbors, divergence, normalize)
    np.testing.assert_allclose(loss, expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("divergence", BY_HAND)
def test_gradient_agrees_with_finite_differences(divergence: str) -> None:
    rng = np.random.default_rng(2)
    distances = rng.uniform(0.1, 2.0, size=(1, 4))
    anchors, neighbors = rng.normal(size=(1, 3)), rng.normal(size=(1, 4, 3))
    variable = tf.Variable(anchors, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = lsp_loss(distances, variable, tf.constant(neighbors), divergence=divergence)
    step = 1e-6 * np.eye(3)
    expected = [
        (
            slow_lsp(distances, anchors + row, neighbors, divergence, False)
            - slow_lsp(distances, anchors - row, neighbors, divergence, False)
        )[0]
        / 2e-6
        for row in step
    ]
    np.testing.assert_allclose(tape.gradient(loss, variable)[0], expected, rtol=1e-3, atol=1e-5)


def test_does_not_depend_on_the_scale_of_either_space() -> None:
    rng = np.random.default_rng(3)
    distances = rng.uniform(0.1, 2.0, size=(4, 8)).astype(np.float32)
    anchors = rng.normal(size=(4, 10)).astype(np.float32)
    neighbors = rng.normal(size=(4, 8, 10)).astype(np.float32)
    np.testing.assert_allclose(
        lsp_loss(distances * 1e-3, anchors * 50, neighbors * 50),
        lsp_loss(distances, anchors, neighbors),
        rtol=1e-4,
    )


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("divergence", BY_HAND)
def test_duplicates_have_finite_gradients(divergence: str, normalize: bool) -> None:
    """One duplicate among the neighbors, all neighbors duplicates, and all logits zero."""
    distances = tf.constant([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    anchors = tf.Variable([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    neighbors = tf.Variable([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0]] * 2, [[0.0, 0.0]] * 2])
    with tf.GradientTape() as tape:
        loss = lsp_loss(
            distances, anchors, neighbors, divergence=divergence, normalize_logits=normalize
        )
    np.testing.assert_allclose(loss, [0.0, 0.0, 0.0], atol=1e-6)
    for gradient in tape.gradient(loss, [anchors, neighbors]):
        assert np.isfinite(gradient).all()


def test_no_gradient_reaches_the_feature_distances() -> None:
    distances = tf.Variable(FEATURE_DISTANCES)
    with tf.GradientTape() as tape:
        loss = lsp_loss(distances, tf.constant(ANCHORS), tf.constant(NEIGHBORS))
    assert tape.gradient(loss, distances) is None


def test_half_precision_logits_are_measured_in_float32() -> None:
    anchors = tf.cast([[300.0, 0.0]], tf.float16)
    neighbors = tf.cast([[[0.0, 0.0], [-600.0, 0.0]]], tf.float16)
    loss = lsp_loss(tf.constant([[1.0, 3.0]]), anchors, neighbors)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, [0.0], atol=1e-6)
