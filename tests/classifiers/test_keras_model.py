import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers import adapt, read
from lsp_keras.validation import InputError

layers = keras.layers


def test_one_input_in_a_dictionary_or_list_is_one_input(linear, images, logits) -> None:
    inner = linear()
    pixels = keras.Input((4, 4, 1), name="pixels")
    for structure in ({"pixels": pixels}, [pixels]):
        found = read(keras.Model(structure, inner(pixels)))
        np.testing.assert_allclose(found(tf.constant(images)), logits, atol=1e-5)


def test_two_inputs_are_refused_with_what_to_pass() -> None:
    first, second = keras.Input((4, 4, 1), name="photo"), keras.Input((3,), name="age")
    joined = layers.Concatenate()([layers.Flatten()(first), second])
    with pytest.raises(InputError, match=r"has 2 inputs \(photo, age\).*Pass a model of the"):
        read(keras.Model([first, second], layers.Dense(2)(joined)))


@pytest.mark.parametrize("as_dictionary", [True, False])
def test_one_of_several_outputs_is_read(linear, images, logits, as_dictionary) -> None:
    inner = linear()
    pixels = keras.Input((4, 4, 1))
    classes = layers.Softmax(name="classes")(inner(pixels))
    area = layers.Dense(1, name="area")(layers.Flatten()(pixels))
    outputs = {"classes": classes, "area": area} if as_dictionary else [classes, area]
    model = keras.Model(pixels, outputs)
    with pytest.raises(InputError, match=r"answers 2 outputs: 'classes', 'area'.*--model-output"):
        read(model)
    with pytest.raises(InputError, match=r"has no output 'clases'\. Did you mean 'classes'"):
        read(model, output="clases")
    for output in ("classes", "0"):
        classifier = adapt(model, images, output=output)
        assert str(classifier.answers) == "probabilities of a softmax, output 'classes'"
        np.testing.assert_allclose(classifier(tf.constant(images)), logits, atol=1e-5)


def test_a_fixed_batch_becomes_any(images, kernel, logits) -> None:
    inputs = keras.Input(batch_shape=(8, 4, 4, 1))
    dense = layers.Dense(3, activation="softmax")
    model = keras.Model(inputs, dense(layers.Flatten()(inputs)))
    dense.set_weights([kernel, np.zeros(3)])
    classifier = adapt(model, images[:5])
    np.testing.assert_allclose(classifier(tf.constant(images[:5])), logits[:5], atol=1e-5)
    np.testing.assert_allclose(
        classifier.own_probabilities(images[:5]), tf.nn.softmax(logits[:5]), atol=1e-6
    )


def test_images_without_a_channel_and_with_channels_first(kernel, images, logits) -> None:
    flat = keras.Input((4, 4))
    dense = layers.Dense(3)
    model = keras.Model(flat, dense(layers.Flatten()(flat)))
    dense.set_weights([kernel, np.zeros(3)])
    found = adapt(model, images)
    assert found.image_shape == (4, 4, 1)
    np.testing.assert_allclose(found(tf.constant(images)), logits, atol=1e-5)

    first = keras.Input((3, 8, 9))
    head = layers.Dense(2)
    turned = adapt(
        keras.Model(first, head(layers.Flatten()(first))), np.zeros((2, 8, 9, 3), np.float32)
    )
    photos = np.random.default_rng(0).random((2, 8, 9, 3), dtype=np.float32)
    expected = photos.transpose(0, 3, 1, 2).reshape(2, -1) @ head.get_weights()[0]
    np.testing.assert_allclose(turned(tf.constant(photos)), expected, atol=1e-5)


def test_vectors_are_no_images() -> None:
    inputs = keras.Input((16,))
    with pytest.raises(InputError, match=r"must take images `\(batch, height, width, channels\)`"):
        read(keras.Model(inputs, layers.Dense(2)(inputs)))


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_unit_is_the_second_class(activation, images, kernel) -> None:
    inputs = keras.Input((4, 4, 1))
    dense = layers.Dense(1, activation=activation)
    model = keras.Model(inputs, dense(layers.Flatten()(inputs)))
    dense.set_weights([kernel[:, :1], np.zeros(1)])
    classifier = adapt(model, images)
    z = images.reshape(len(images), 16) @ kernel[:, 0]
    expected = np.stack([np.zeros_like(z), z], axis=1)
    np.testing.assert_allclose(classifier(tf.constant(images)), expected, atol=1e-5)
    assert isinstance(classifier.model, keras.Model)
    second = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(classifier.own_probabilities(images)[:, 1], second, atol=1e-6)


def test_one_class_map_of_one_pixel_is_a_row(images, kernel, logits) -> None:
    inputs = keras.Input((4, 4, 1))
    values = layers.Conv2D(3, 4, name="head")(inputs)
    model = keras.Model(inputs, values)
    model.get_layer("head").set_weights([kernel.reshape(4, 4, 1, 3), np.zeros(3)])
    classifier = adapt(model, images)
    np.testing.assert_allclose(classifier(tf.constant(images)), logits, atol=1e-5)
