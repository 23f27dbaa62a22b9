import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers.answers import Answers, check_outputs, recognize
from lsp_keras.validation import InputError

LOGITS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * 3
SOFTMAX = tf.nn.softmax(LOGITS).numpy()
SIGMOID = tf.sigmoid(LOGITS).numpy()
FORMS = {
    "logits": LOGITS,
    "softmax": SOFTMAX,
    "sigmoid": SIGMOID,
    "percent": SOFTMAX * 100,
    "log_probabilities": np.log(SOFTMAX),
}


@pytest.mark.parametrize("kind", FORMS)
def test_each_form_is_recognized(kind: str) -> None:
    assert recognize(FORMS[kind]) == kind


@pytest.mark.parametrize("kind", FORMS)
def test_logits_of_each_form_are_the_logits_up_to_one_constant_a_row(kind: str) -> None:
    found = Answers(kind).logits(tf.constant(FORMS[kind])).numpy()
    difference = found - LOGITS
    constant = difference[:, :1] if kind != "sigmoid" else 0.0
    np.testing.assert_allclose(difference - constant, 0.0, atol=2e-4)


@pytest.mark.parametrize("kind", FORMS)
def test_probabilities_of_each_form_and_those_of_its_logits_are_the_same(kind: str) -> None:
    answers = Answers(kind)
    own = answers.probabilities(tf.constant(FORMS[kind])).numpy()
    np.testing.assert_allclose(own, SIGMOID if kind == "sigmoid" else SOFTMAX, atol=1e-6)
    linked = answers.link(answers.logits(tf.constant(FORMS[kind]))).numpy()
    np.testing.assert_allclose(linked, own, atol=1e-6)


def test_one_unit_stands_for_the_second_of_two_classes() -> None:
    unit = SIGMOID[:, :1]
    answers = Answers(recognize(unit), one_unit=True)
    assert answers.kind == "sigmoid"
    logits = answers.logits(tf.constant(unit))
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], LOGITS[:, 0], atol=1e-4)
    pair = np.hstack([1 - unit, unit])
    np.testing.assert_allclose(answers.probabilities(tf.constant(unit)), pair, atol=1e-6)
    np.testing.assert_allclose(answers.link(logits), pair, atol=1e-6)
    assert recognize(LOGITS[:, :1]) == "logits"


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("classes", [10, 1000])
def test_a_softmax_rounded_to_half_precision_is_still_one(precision, classes) -> None:
    logits = np.random.default_rng(0).normal(size=(64, classes)).astype(np.float32) * 3
    rounded = tf.cast(tf.cast(tf.nn.softmax(logits), precision), tf.float32).numpy()
    assert np.abs(rounded.sum(axis=1) - 1).max() > 2e-5
    assert recognize(rounded, precision) == "softmax"


def test_other_shapes_than_rows_of_classes_are_refused() -> None:
    assert check_outputs(np.zeros((5, 1, 1, 7))).shape == (5, 7)
    with pytest.raises(InputError, match="one row of classes for each image"):
        check_outputs(np.zeros((5, 4, 4, 7)))
