import keras
import numpy as np
import pytest

from lsp_keras.classifiers import feature_model, read
from lsp_keras.validation import InputError

layers = keras.layers


def body() -> list[keras.Layer]:
    return [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(5, activation="relu", name="f")]


def models() -> dict[str, keras.Model]:
    inner = keras.Sequential([*body(), layers.Dense(3)])
    nested = keras.Sequential([keras.Input((4, 4, 1)), layers.Rescaling(2.0), inner])
    return {
        "plain": keras.Sequential([*body(), layers.Dense(3)]),
        "activation": keras.Sequential([*body(), layers.Dense(3), layers.Activation("linear")]),
        "nested": nested,
        "bytes": keras.Sequential(
            [keras.Input((4, 4, 1)), layers.Rescaling(1 / 255), *body()[1:], layers.Dense(3)]
        ),
        "softmax": keras.Sequential([*body(), layers.Dense(3, activation="softmax")]),
        "one_unit": keras.Sequential([*body(), layers.Dense(1, activation="sigmoid")]),
    }


@pytest.mark.parametrize("name", models())
def test_logits_are_a_linear_map_of_the_features(name: str) -> None:
    model = models()[name]
    classifier = read(model).model
    images = np.random.default_rng(0).random((6, 4, 4, 1), dtype=np.float32)
    features, logits = feature_model(classifier)(images)
    kernel, bias = model.get_weights()[-2:]
    linear = np.asarray(features) @ kernel + bias
    expected = np.hstack([0 * linear, linear]) if name == "one_unit" else linear
    assert features.shape == (6, 5)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(logits, classifier(images), atol=1e-5)


def test_another_last_layer_is_named() -> None:
    model = keras.Sequential([*body(), layers.Dense(3), layers.ReLU(name="end")])
    with pytest.raises(InputError, match=r"Its last layer is 'end' of type ReLU"):
        feature_model(model)
