import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.ops.norms import expand, norm_of
from lsp_keras.validation import InputError


@pytest.mark.parametrize(("norm", "expected"), [("linf", 4.0), ("l2", 5.0), ("l1", 7.0)])
def test_norms_of_a_3_4_image(norm, expected) -> None:
    values = tf.constant([[[[3.0], [-4.0]]], [[[0.0], [0.0]]]])
    np.testing.assert_allclose(norm_of(values, norm), [expected, 0.0])


def test_gradient_of_the_length_is_the_direction_and_zero_at_zero() -> None:
    values = tf.constant([[3.0, -4.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        lengths = norm_of(values, "l2")
    np.testing.assert_allclose(tape.gradient(lengths, values), [[0.6, -0.8], [0.0, 0.0]])


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(InputError, match="`norm` must be one of 'linf', 'l2', 'l1'"):
        norm_of(tf.zeros([1, 2]), "l3")


def test_expand_multiplies_each_example_by_its_own_factor() -> None:
    images = tf.ones([2, 1, 2, 1])
    scaled = images * expand(tf.constant([2.0, 3.0]), images)
    np.testing.assert_allclose(tf.reshape(scaled, [2, 2]), [[2, 2], [3, 3]])
