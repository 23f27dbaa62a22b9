import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers import adapt

SCALE = 300.0


def of(kernel, end):
    weights = tf.Variable(kernel * SCALE)
    return lambda images: end(tf.reshape(images, [-1, 16]) @ weights)


@pytest.mark.parametrize("end", [tf.nn.softmax, tf.sigmoid, tf.nn.log_softmax])
def test_the_end_of_a_function_is_taken_off(end, kernel, images, logits) -> None:
    classifier = adapt(of(kernel, end), images)
    if end is not tf.nn.log_softmax:
        assert classifier.answers.exact
        np.testing.assert_allclose(classifier(tf.constant(images)), logits * SCALE, rtol=1e-3)


def test_gradients_flow_where_the_softmax_saturates(kernel, images) -> None:
    classifier = adapt(of(kernel, tf.nn.softmax), images)
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        first = classifier(pixels)[:, 0]
    expected = np.broadcast_to(kernel[:, 0].reshape(4, 4, 1) * SCALE, images.shape)
    np.testing.assert_allclose(tape.gradient(first, pixels), expected, rtol=1e-4)


def test_a_subclassed_model_is_opened_too(kernel, images, logits) -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, values):
            return keras.ops.softmax(self.dense(keras.ops.reshape(values, (-1, 16))))

    model = Own()
    model(images)
    model.dense.set_weights([kernel * SCALE, np.zeros(3)])
    classifier = adapt(model, images)
    assert classifier.answers.exact
    np.testing.assert_allclose(classifier(tf.constant(images)), logits * SCALE, rtol=1e-3)


def test_where_the_graph_goes_on_logits_are_computed_and_said_so(kernel, images, logits) -> None:
    def smoothed(values):
        return 0.9 * tf.nn.softmax(tf.reshape(values, [-1, 16]) @ kernel) + 0.1 / 3

    classifier = adapt(smoothed, images)
    assert not classifier.answers.exact
    expected = np.log(0.9 * tf.nn.softmax(logits).numpy() + 0.1 / 3)
    np.testing.assert_allclose(classifier(tf.constant(images)), expected, atol=1e-5)
    (flag,) = classifier.flags
    assert "logits were computed from them. Saturated probabilities hide gradients" in str(flag)
