import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers import read


@pytest.fixture
def half():
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(previous)


def test_attacks_see_a_float32_copy_of_a_model_in_half_precision(half, linear, images) -> None:
    model = linear(activation="softmax", scale=7.0)
    weights = model.get_weights()[0]
    classifier = read(model)
    assert classifier.precision == "float16"
    assert {layer.compute_dtype for layer in classifier.model.layers[1:]} == {"float32"}
    exact = images.reshape(len(images), 16).astype(np.float64) @ weights
    found = classifier(tf.constant(images)).numpy()
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)
    rounded = keras.Model(model.input, model.layers[-1].input)  # Type of the layer before.
    assert rounded(images).dtype == "float16"


def test_a_trainer_keeps_half_precision(half, linear) -> None:
    classifier = read(linear(), keep_precision=True)
    assert classifier.model.layers[-1].compute_dtype == "float16"


def test_float32_is_not_copied(linear) -> None:
    model = linear()
    assert read(model).model is model
