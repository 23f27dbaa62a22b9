import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers import adapt, read

layers = keras.layers
# So large that the softmax or sigmoid of it is exactly 0 and 1 in float32.
SCALE = 500.0


def in_a_model(layer: keras.Layer) -> keras.Model:
    """A layer inside of two models."""
    inner = keras.Sequential([keras.Input((3,)), layer])
    return keras.Sequential([keras.Input((3,)), inner])


@pytest.mark.parametrize(
    ("after", "activation", "kind"),
    [
        ([], "softmax", "softmax"),
        ([], "sigmoid", "sigmoid"),
        ([], "log_softmax", "log_probabilities"),
        ([layers.Softmax()], None, "softmax"),
        ([layers.Activation("sigmoid")], None, "sigmoid"),
        ([layers.Activation("linear"), layers.Activation("softmax")], None, "softmax"),
        ([keras.ops.softmax], None, "softmax"),
        ([keras.ops.sigmoid, layers.Activation("linear")], None, "sigmoid"),
        ([layers.Softmax(), layers.Dropout(0.5), layers.Reshape((3,))], None, "softmax"),
        ([in_a_model(layers.Softmax())], None, "softmax"),
        ([in_a_model(layers.Activation("sigmoid"))], None, "sigmoid"),
        ([], None, "logits"),
    ],
)
def test_logits_before_every_ending_are_exact(
    linear, after, activation, kind, images, logits
) -> None:
    model = linear(after=after, activation=activation, scale=SCALE)
    classifier = read(model)
    assert (classifier.answers.kind, classifier.answers.exact) == (kind, True)
    np.testing.assert_allclose(classifier(tf.constant(images)), logits * SCALE, rtol=1e-3, atol=0.1)


def test_a_nested_classifier_is_opened(linear, images, logits) -> None:
    inner = linear(activation="softmax", scale=SCALE)
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Rescaling(2.0, -1.0), inner])
    expected = logits * 2 - inner.get_weights()[0].sum(axis=0) / SCALE
    found = read(model)(tf.constant(images))
    np.testing.assert_allclose(found, expected * SCALE, rtol=1e-3, atol=0.2)


def test_the_model_of_logits_has_the_weights_of_the_model_that_was_read(linear) -> None:
    model = linear(activation="softmax")
    classifier = read(model)
    assert classifier.model is not model
    theirs = [id(variable) for variable in classifier.model.trainable_variables]
    assert theirs == [id(variable) for variable in model.trainable_variables]


def test_a_model_of_logits_is_left_as_it_is(linear, images) -> None:
    model = linear()
    assert adapt(model, images).model is model


def test_a_softmax_over_another_axis_is_none_of_classes(images) -> None:
    inputs = keras.Input((4, 4, 1))
    values = layers.Softmax(axis=1)(layers.Dense(3)(layers.Flatten()(inputs)))
    assert read(keras.Model(inputs, layers.Softmax(axis=-2)(layers.Reshape((1, 3))(values))))
