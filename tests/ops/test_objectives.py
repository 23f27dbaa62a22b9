import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.ops import objectives
from lsp_keras.validation import InputError

LOGITS = tf.constant([[1.0, 3.0, 2.0, -1.0], [-5.0, -2.0, -8.0, -3.0]])
LABELS = tf.constant([0, 1])


def test_cross_entropy_by_hand() -> None:
    exponentials = np.exp(LOGITS.numpy().astype(np.float64))
    expected = -np.log(exponentials[[0, 1], [0, 1]] / exponentials.sum(axis=1))
    np.testing.assert_allclose(objectives.cross_entropy(LABELS, LOGITS), expected, rtol=1e-6)


def test_margin_is_positive_exactly_where_the_example_is_misclassified() -> None:
    # 3 - 1, and -3 - (-2): all other logits negative, so a masked product would give 0 - (-2).
    np.testing.assert_allclose(objectives.margin(LABELS, LOGITS), [2.0, -1.0])


def test_margin_of_huge_logits_still_ignores_the_true_class() -> None:
    np.testing.assert_allclose(objectives.margin(LABELS, LOGITS * 1e6), [2.0e6, -1.0e6], rtol=1e-6)


def test_dlr_by_hand() -> None:
    # -(1 - 3) / (3 - 1) and -(-2 + 3) / (-2 + 5).
    np.testing.assert_allclose(objectives.dlr(LABELS, LOGITS), [1.0, -1.0 / 3.0], rtol=1e-6)


def test_dlr_does_not_change_with_the_scale_of_the_logits() -> None:
    np.testing.assert_allclose(
        objectives.dlr(LABELS, LOGITS), objectives.dlr(LABELS, LOGITS * 100.0), rtol=1e-5
    )


def test_targeted_dlr_by_hand() -> None:
    # -(1 - 2) / (3 - (1 - 1) / 2) and -(-2 + 3) / (-2 - (-5 - 8) / 2).
    found = objectives.targeted_dlr(LABELS, LOGITS, tf.constant([2, 3]))
    np.testing.assert_allclose(found, [1.0 / 3.0, -1.0 / 4.5], rtol=1e-6)


HALF = tf.math.log([[0.5, 0.25, 0.25]])


def test_kl_by_hand() -> None:
    other = tf.math.log([[0.25, 0.25, 0.5]])
    # 1/2 log 2 + 1/4 log 1 + 1/4 log 1/2; whatever is added to all logits of a row.
    np.testing.assert_allclose(objectives.kl(HALF, other + 3.0), [0.25 * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(objectives.kl(HALF, HALF - 7.0), [0.0], atol=1e-6)


def test_gradient_of_kl_in_closed_form() -> None:
    clean, logits = tf.constant(LOGITS), tf.constant(-0.5 * LOGITS + 1.0)
    with tf.GradientTape() as tape:
        tape.watch([clean, logits])
        value = objectives.kl(clean, logits)
    p, q = tf.nn.softmax(clean).numpy(), tf.nn.softmax(logits).numpy()
    by_clean, by_logits = tape.gradient(value, [clean, logits])
    np.testing.assert_allclose(by_logits, q - p, rtol=1e-5, atol=1e-6)
    # d/dz_k of sum_i p_i log(p_i / q_i) is p_k (log(p_k / q_k) - KL).
    expected = p * (np.log(p / q) - value.numpy()[:, np.newaxis])
    np.testing.assert_allclose(by_clean, expected, rtol=1e-4, atol=1e-6)


def test_kl_of_extreme_logits_is_finite_and_exact() -> None:
    clean, logits = tf.constant([[1e4, 0.0, 0.0]]), tf.constant([[-1e4, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch([clean, logits])
        value = objectives.kl(clean, logits)
    np.testing.assert_allclose(value, [1e4 + np.log(2)], rtol=1e-6)
    by_clean, by_logits = tape.gradient(value, [clean, logits])
    np.testing.assert_allclose(by_clean, [[0.0, 0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(by_logits, [[-1.0, 0.5, 0.5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "minimum"),
    [
        (lambda logits: objectives.dlr(LABELS, logits), 3),
        (lambda logits: objectives.targeted_dlr(LABELS, logits, LABELS), 4),
    ],
)
def test_too_few_classes_are_refused(call, minimum) -> None:
    with pytest.raises(InputError, match=f"needs at least {minimum} classes"):
        call(LOGITS[:, :2])


def test_objectives_by_name_and_by_function() -> None:
    assert objectives.get("margin") is objectives.margin
    assert objectives.get(objectives.dlr) is objectives.dlr
    with pytest.raises(InputError, match="Did you mean 'margin'"):
        objectives.get("margn")


def test_comparison_is_bound_to_the_clean_logits_and_ignores_labels() -> None:
    assert objectives.is_comparison("kl")
    bound = objectives.bind("kl", lambda: LOGITS)
    for labels in (LABELS, 1 - LABELS):
        expected = objectives.ascending_kl(LOGITS, -LOGITS)
        np.testing.assert_array_equal(bound(labels, -LOGITS), expected)


def test_other_objectives_are_bound_to_nothing() -> None:
    def forbidden() -> tf.Tensor:
        raise AssertionError("clean logits were computed for nothing")

    assert objectives.bind("margin", forbidden) is objectives.margin
    assert objectives.bind(objectives.dlr, forbidden) is objectives.dlr
    with pytest.raises(InputError, match="'dlr', 'softmax_cross_entropy', 'kl', 'softmax_kl'"):
        objectives.bind("l2", forbidden)
    with pytest.raises(InputError, match=r"'kl' is a divergence .* which only PGD climbs"):
        objectives.get("kl")


def test_log_odds_by_hand_and_their_tie_to_the_cross_entropy() -> None:
    exponentials = np.exp(LOGITS.numpy().astype(np.float64))
    true = exponentials[[0, 1], [0, 1]]
    found = objectives.log_odds(LABELS, LOGITS)
    np.testing.assert_allclose(found, np.log((exponentials.sum(axis=1) - true) / true), rtol=1e-5)
    expected = objectives.cross_entropy(LABELS, LOGITS)
    np.testing.assert_allclose(tf.math.softplus(found), expected, rtol=1e-5)


def gradient_of(objective, logits: tf.Tensor) -> np.ndarray:
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = objective(logits)
    return tape.gradient(value, logits).numpy()


def test_log_odds_rise_where_the_cross_entropy_has_lost_the_label() -> None:
    certain = tf.constant([[500.0, 0.0, -1.0]])
    zero = gradient_of(lambda logits: objectives.cross_entropy([0], logits), certain)
    np.testing.assert_array_equal(zero, 0.0)
    rises = gradient_of(lambda logits: objectives.log_odds([0], logits), certain)
    share = 1.0 / (1.0 + np.exp(-1.0))
    np.testing.assert_allclose(rises, [[-1.0, share, 1.0 - share]], rtol=1e-6)


# Powers of two are exact in float32, so that what should be the same is so to the last bit.
SCALES = [2.0**-100, 2.0**-7, 1.0, 2.0**10, 2.0**100]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["cross_entropy", "dlr"])
def test_objectives_and_their_slopes_do_not_change_with_the_scale(name, scale) -> None:
    objective = objectives.get(name)
    if name == "dlr" and scale < 1e-6:
        pytest.skip("the official form adds 1e-12 to its divisor")
    value = objective(LABELS, LOGITS)
    np.testing.assert_allclose(objective(LABELS, scale * LOGITS + 3.0 * scale), value, rtol=1e-5)
    # The chain rule gives the slope the factor that the scaled logits lack.
    slope = scale * gradient_of(lambda logits: objective(LABELS, logits), scale * LOGITS)
    expected = gradient_of(lambda logits: objective(LABELS, logits), LOGITS)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_the_ascending_kl_does_not_change_with_the_scale(scale) -> None:
    moved = LOGITS + tf.constant([[0.3, -0.2, 0.1, 0.0], [0.0, 0.1, 0.2, -0.3]])
    value = objectives.ascending_kl(scale * LOGITS, scale * moved)
    np.testing.assert_allclose(value, objectives.ascending_kl(LOGITS, moved), rtol=1e-4)
    slope = scale * gradient_of(
        lambda logits: objectives.ascending_kl(scale * LOGITS, logits), scale * moved
    )
    expected = gradient_of(lambda logits: objectives.ascending_kl(LOGITS, logits), moved)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


def test_the_slope_of_the_ascending_kl_has_the_divergence_s_direction() -> None:
    # At a gap of 12 between first and third the logits are at the common scale already.
    clean = tf.constant([[12.0, 9.0, 0.0], [1.0, 5.0, 13.0]])
    moved = clean + tf.constant([[-1.0, 0.5, 0.2], [0.4, -0.3, -2.0]])
    found = gradient_of(lambda logits: objectives.ascending_kl(clean, logits), moved)
    exact = gradient_of(
        lambda logits: objectives.kl(tf.cast(clean, tf.float64), logits), tf.cast(moved, tf.float64)
    )
    lengths = np.linalg.norm(found, axis=1), np.linalg.norm(exact, axis=1)
    cosines = np.sum(found * exact, axis=1) / lengths[0] / lengths[1]
    np.testing.assert_allclose(cosines, 1.0, atol=1e-6)


def test_the_slope_of_the_ascending_kl_is_there_where_softmax_is_saturated() -> None:
    # The second logit is far from the top, the third not; at the common scale e**-12 remains.
    clean = tf.constant([[1e4, 0.0, 1e-3]])
    moved = clean + tf.constant([[0.0, 0.0, 1.0]])
    found = gradient_of(lambda logits: objectives.ascending_kl(clean, logits), moved)[0]
    assert found[2] > 0.0 > found[0]
    assert np.abs(found).max() > 1e-6


def test_one_class_far_below_all_others_changes_nothing() -> None:
    three = tf.constant([[3.0, 1.0, 0.0]])
    four = tf.constant([[3.0, 1.0, 0.0, -1e9]])
    value = objectives.ascending_cross_entropy([0], three)
    np.testing.assert_allclose(objectives.ascending_cross_entropy([0], four), value, rtol=1e-6)


def test_equal_logits_have_no_scale_and_stay_finite() -> None:
    flat = tf.fill([1, 3], 7.0)
    np.testing.assert_allclose(objectives.at_common_scale(flat, flat), flat)
    slope = gradient_of(lambda logits: objectives.ascending_cross_entropy([0], logits), flat)
    np.testing.assert_allclose(slope, [[-1.0, 0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint64])
def test_labels_of_any_integer_type(dtype) -> None:
    labels = np.array([0, 1], dtype)
    for objective in (*objectives.OBJECTIVES.values(), objectives.log_odds):
        np.testing.assert_array_equal(objective(labels, LOGITS), objective(LABELS, LOGITS))
