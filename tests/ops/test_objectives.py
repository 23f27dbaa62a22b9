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
        np.testing.assert_array_equal(bound(labels, -LOGITS), objectives.kl(LOGITS, -LOGITS))


def test_other_objectives_are_bound_to_nothing() -> None:
    def forbidden() -> tf.Tensor:
        raise AssertionError("clean logits were computed for nothing")

    assert objectives.bind("margin", forbidden) is objectives.margin
    assert objectives.bind(objectives.dlr, forbidden) is objectives.dlr
    with pytest.raises(InputError, match="one of 'cross_entropy', 'margin', 'dlr', 'kl'"):
        objectives.bind("l2", forbidden)
    with pytest.raises(InputError, match="one of 'cross_entropy', 'margin', 'dlr'\\. "):
        objectives.get("kl")
