import numpy as np
import tensorflow as tf

from lsp_keras.ops.gradients import image_gradient, with_unit_gradient

IMAGES = tf.constant([[[[1.0], [2.0]]], [[[3.0], [-4.0]]]])


def squares(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_sum(images**2, axis=[1, 2, 3]), images + 1.0


def test_gradient_of_squares_by_hand() -> None:
    (value, other), gradient = image_gradient(squares, IMAGES)
    np.testing.assert_allclose(value, [5.0, 25.0])
    np.testing.assert_allclose(other, IMAGES + 1.0)
    np.testing.assert_allclose(gradient, 2.0 * IMAGES)


def test_a_gradient_is_taken_in_a_graph_also_from_outside_of_one() -> None:
    where = []

    def function(images: tf.Tensor) -> tuple[tf.Tensor]:
        where.append(tf.inside_function())
        return (tf.reduce_sum(images, axis=[1, 2, 3]),)

    image_gradient(function, IMAGES)
    tf.function(lambda images: image_gradient(function, images))(IMAGES)
    assert where == [True, True]


def test_only_the_gradient_of_the_images_is_computed() -> None:
    kernel = tf.Variable(tf.ones([1, 1, 1, 2]))

    @tf.function
    def function(images: tf.Tensor) -> tf.Tensor:
        return image_gradient(
            lambda x: (tf.reduce_sum(tf.nn.conv2d(x, kernel, 1, "SAME"), axis=[1, 2, 3]),), images
        )[1]

    traced = function.get_concrete_function(IMAGES)
    # What is left of the graph once nothing unused is in it.
    kept = tf.compat.v1.graph_util.extract_sub_graph(
        traced.graph.as_graph_def(), [traced.outputs[0].op.name]
    )
    kinds = {node.op for node in kept.node}
    assert "Conv2DBackpropInput" in kinds
    assert "Conv2DBackpropFilter" not in kinds


def test_a_value_that_ignores_the_images_has_a_gradient_of_zero() -> None:
    _, gradient = image_gradient(lambda images: (tf.zeros([2]),), IMAGES)
    np.testing.assert_array_equal(gradient, tf.zeros_like(IMAGES))


def test_a_unit_gradient_keeps_the_value_and_the_direction_however_small() -> None:
    factors = tf.constant([1e-30, 1e20])

    def logits_fn(images: tf.Tensor) -> tf.Tensor:
        return factors[:, tf.newaxis] * tf.reduce_sum(images**2, axis=[1, 2])

    function = with_unit_gradient(logits_fn)
    np.testing.assert_array_equal(function(IMAGES), logits_fn(IMAGES))
    _, gradient = image_gradient(lambda images: (function(images)[:, 0],), IMAGES)
    expected = IMAGES / tf.constant([2.0, 4.0])[:, tf.newaxis, tf.newaxis, tf.newaxis]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_a_unit_gradient_of_zero_is_zero_and_of_nan_is_nan() -> None:
    factors = tf.constant([0.0, np.nan])
    function = with_unit_gradient(
        lambda images: factors[:, tf.newaxis] * tf.reduce_sum(images, axis=[1, 2])
    )
    _, gradient = image_gradient(lambda images: (function(images)[:, 0],), IMAGES)
    np.testing.assert_array_equal(gradient[0], 0.0)
    assert np.isnan(gradient[1]).all()
