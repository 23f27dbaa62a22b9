import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.ops import divergences
from lsp_keras.ops.divergences.kl import kl
from lsp_keras.validation import InputError

BY_HAND = {
    "kl": 0.5 * math.log(2) + 0.5 * math.log(2 / 3),
    "cosine": 1 - 0.5 / math.sqrt(0.5 * 0.625),
    "l1": 0.5,
    "l2": math.sqrt(0.125),
    "sum_of_squares": 0.125,
    "mean_of_squares": 0.0625,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_hand_computed_value(name: str) -> None:
    value = divergences.get(name)(tf.constant([[0.5, 0.5]]), tf.constant([[0.25, 0.75]]))
    np.testing.assert_allclose(value, [BY_HAND[name]], rtol=1e-5)


def test_kl_of_a_missing_entry_is_that_of_the_floor() -> None:
    value = kl(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]]))
    np.testing.assert_allclose(value, [-math.log(1e-7)], rtol=1e-6)


def test_unknown_name_lists_the_choices() -> None:
    with pytest.raises(InputError, match=r"Unknown divergence: 'mse'.* one of .*'kl', .*'l2'"):
        divergences.get("mse")


def test_arguments_of_its_own_are_checked() -> None:
    with pytest.raises(InputError, match="`delta` is no setting of the divergence kl"):
        divergences.get({"name": "kl", "delta": 1.0})
    assert divergences.get({"name": "kl"}) is kl
