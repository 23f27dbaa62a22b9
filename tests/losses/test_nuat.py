"""NuAT's loss by hand, and how it depends on the batch."""

import math

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses import nuat_loss
from lsp_keras.losses._terms import nuclear_distance


def test_value_by_hand() -> None:
    """Differences (3, 0) and (0, 4): singular values 4 and 3, of two rows."""
    clean = tf.constant([[0.0, 0.0], [1.0, 1.0]])
    adversarial = tf.constant([[3.0, 0.0], [1.0, 5.0]])
    values = nuat_loss(tf.constant([0, 1]), clean, adversarial, beta=2.0)
    np.testing.assert_allclose(values, [math.log(2) + 7.0] * 2, rtol=1e-6)


def test_one_direction_costs_less_than_two_of_the_same_length() -> None:
    clean = tf.zeros([2, 2])
    aligned = nuclear_distance(clean, tf.constant([[5.0, 0.0], [5.0, 0.0]]))
    crossed = nuclear_distance(clean, tf.constant([[5.0, 0.0], [0.0, 5.0]]))
    assert float(aligned[0]) == pytest.approx(5.0 / math.sqrt(2))
    assert float(crossed[0]) == pytest.approx(5.0)


def test_the_same_rows_twice_are_worth_one_over_the_root_of_two() -> None:
    rng = np.random.default_rng(0)
    clean, adversarial = rng.normal(size=(2, 5, 3)).astype(np.float32)
    once = nuclear_distance(clean, adversarial)
    twice = nuclear_distance(np.tile(clean, (2, 1)), np.tile(adversarial, (2, 1)))
    assert float(twice[0]) == pytest.approx(float(once[0]) / math.sqrt(2), rel=1e-5)
