import numpy as np
import tensorflow as tf

from lsp_keras.ops.distances import (
    distances_within,
    neighbor_distances,
    pairwise_squares,
    shares,
    unit_length,
)


def test_distances_of_a_hand_computed_batch() -> None:
    anchors = tf.constant([[0.0, 0.0], [1.0, 1.0]])
    neighbors = tf.constant([[[3.0, 4.0], [0.0, -2.0]], [[1.0, 1.0], [1.0, 13.0]]])
    np.testing.assert_allclose(neighbor_distances(anchors, neighbors), [[5, 2], [0, 12]])


def test_gradient_of_a_distance_is_the_direction_and_zero_for_duplicates() -> None:
    anchors = tf.Variable([[0.0, 0.0]])
    neighbors = tf.Variable([[[3.0, 4.0], [0.0, 0.0]]])
    with tf.GradientTape() as tape:
        distances = neighbor_distances(anchors, neighbors)
    anchor_gradient, neighbor_gradient = tape.gradient(distances, [anchors, neighbors])
    np.testing.assert_allclose(anchor_gradient, [[-0.6, -0.8]], rtol=1e-6)
    np.testing.assert_allclose(neighbor_gradient, [[[0.6, 0.8], [0.0, 0.0]]], rtol=1e-6)


def test_shares_sum_to_one_at_any_scale() -> None:
    distances = tf.constant([[1.0, 3.0], [1e-20, 3e-20], [1e20, 3e20]])
    np.testing.assert_allclose(shares(distances), [[0.25, 0.75]] * 3, rtol=1e-6)


def test_shares_of_zeros_are_equal_and_have_no_gradient() -> None:
    distances = tf.Variable([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    with tf.GradientTape() as tape:
        first = shares(distances)[:, 0]
    np.testing.assert_allclose(first, [0.25, 0.25])
    np.testing.assert_allclose(
        tape.gradient(first, distances),
        [[0.0, 0.0, 0.0, 0.0], [3 / 16, -1 / 16, -1 / 16, -1 / 16]],
        rtol=1e-6,
    )


def test_shares_of_a_sum_up_to_the_smallest_are_equal() -> None:
    values = shares(tf.constant([[1e-7, 3e-7], [1.0, 3.0]]), smallest_sum=1e-6)
    np.testing.assert_allclose(values, [[0.5, 0.5], [0.25, 0.75]])


def test_unit_length_keeps_the_direction_and_leaves_zero_alone() -> None:
    vectors = tf.Variable([[[3.0, 4.0], [0.0, 0.0]]])
    with tf.GradientTape() as tape:
        scaled = unit_length(vectors)
    np.testing.assert_allclose(scaled, [[[0.6, 0.8], [0.0, 0.0]]], rtol=1e-6)
    assert np.isfinite(tape.gradient(scaled, vectors)).all()


def test_squares_of_all_pairs_by_hand() -> None:
    anchors, others = tf.constant([[0.0, 0.0], [1.0, 0.0]]), tf.constant([[3.0, 4.0]])
    np.testing.assert_allclose(pairwise_squares(anchors, others), [[25.0], [20.0]])


def test_distances_within_a_batch_leave_out_the_image_itself() -> None:
    features = np.random.default_rng(0).normal(5.0, 1.0, (7, 30)).astype(np.float16)
    features[3] = features[1]
    found = distances_within(tf.constant(features)).numpy()
    differences = features[:, None].astype(np.float64) - features[None]
    expected = np.linalg.norm(differences, axis=2)
    np.testing.assert_array_equal(np.diag(found), np.inf)
    away = ~np.eye(7, dtype=bool)
    np.testing.assert_allclose(found[away], expected[away], rtol=1e-4, atol=5e-3)
