import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks._apgd_steps import HalvingRule, SparsityRule, sparse_step

IMAGES = tf.fill([2, 2, 2, 1], 0.5)


def test_checkpoints_are_the_official_ones() -> None:
    assert HalvingRule("linf", 0.75).checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert SparsityRule(0.2).checkpoints(100) == list(range(4, 101, 4))
    # Each step of the 30 or 40 in one of the shrinking balls.
    assert SparsityRule(None).checkpoints(30) == list(range(1, 31))


@pytest.mark.parametrize(
    ("num_moved", "expected"),
    [
        (1, [0.0, 0.0, -1.0, 0.0]),
        (2, [0.0, 0.5, -0.5, 0.0]),
        (4, [0.25, 0.25, -0.25, -0.25]),
        (0, [0.0, 0.0, -1.0, 0.0]),
    ],
)
def test_a_sparse_step_takes_the_largest_entries_alone(num_moved, expected) -> None:
    gradient = tf.reshape(tf.constant([1.0, 3.0, -5.0, -2.0]), [1, 2, 2, 1])
    step = sparse_step(gradient, tf.constant([num_moved]))
    np.testing.assert_allclose(tf.reshape(step, [-1]), expected, atol=1e-6)


def test_a_sparse_step_without_a_gradient_stays_and_shows_what_is_no_number() -> None:
    gradient = tf.concat([tf.zeros_like(IMAGES[:1]), IMAGES[:1] * np.nan], axis=0)
    step = sparse_step(gradient, tf.constant([1, 1])).numpy()
    np.testing.assert_array_equal(step[0], 0.0)
    assert np.isnan(step[1]).any()


def l1_state(num_changed_before: int) -> dict[str, tf.Tensor]:
    best = IMAGES + tf.reshape([[0.2, 0.1, 0.0, 0.0]] * 2, [2, 2, 2, 1])
    rule = SparsityRule(0.2).begin(IMAGES, best, tf.zeros(2), 1.0)
    return rule | {
        "current": IMAGES,
        "gradient": IMAGES,
        "best": best,
        "best_gradient": best,
        "num_changed": tf.constant([num_changed_before, num_changed_before]),
    }


def test_where_the_best_point_is_sparser_the_step_is_long_again_and_starts_there() -> None:
    state = l1_state(4) | {"step_size": tf.constant([0.3, 0.3])}
    adapted = SparsityRule(0.2).adapt(IMAGES, state, tf.constant(1.0), tf.constant(4.0))
    np.testing.assert_allclose(adapted["step_size"], [1.0, 1.0])
    # Two thirds of the two that the best point changes, rounded up.
    np.testing.assert_array_equal(adapted["num_moved"], 2)
    np.testing.assert_array_equal(adapted["current"], state["best"])
    np.testing.assert_array_equal(adapted["gradient"], state["best_gradient"])


def test_elsewhere_the_step_becomes_shorter_down_to_a_tenth() -> None:
    state = l1_state(2) | {"step_size": tf.constant([0.3, 0.12])}
    adapted = SparsityRule(0.2).adapt(IMAGES, state, tf.constant(1.0), tf.constant(4.0))
    np.testing.assert_allclose(adapted["step_size"], [0.2, 0.1])
    np.testing.assert_array_equal(adapted["current"], IMAGES)


def test_the_first_share_is_given_or_taken_from_the_start() -> None:
    start = IMAGES + tf.reshape([[0.2, 0.1, 0.1, 0.0]] * 2, [2, 2, 2, 1])
    given = SparsityRule(0.2).begin(IMAGES, start, tf.zeros(2), 1.0)
    taken = SparsityRule(None).begin(IMAGES, start, tf.zeros(2), 1.0)
    np.testing.assert_array_equal(given["num_moved"], 1)
    np.testing.assert_array_equal(given["num_changed"], 4)
    np.testing.assert_array_equal(taken["num_moved"], 2)
    np.testing.assert_array_equal(taken["num_changed"], 3)
