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
