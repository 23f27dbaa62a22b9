"""Encoders cut from classifiers."""

from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras.models._encoder import compiled_encoder, feature_encoder
from lsp_keras.validation import InputError


def classifier(name: str = "features") -> keras.Model:
    images = keras.Input((4, 4, 3))
    features = keras.layers.GlobalAveragePooling2D(name=name)(images)
    return keras.Model(images, keras.layers.Dense(2)(features))


def test_encoder_is_what_comes_before_the_last_layer() -> None:
    images = np.random.default_rng(0).random((5, 4, 4, 3), np.float32)
    encoder = feature_encoder(classifier())
    np.testing.assert_allclose(encoder(images), images.mean(axis=(1, 2)), rtol=1e-6)
    encode: Any = compiled_encoder(encoder)
    for count in (1, 5):
        np.testing.assert_allclose(encode(images[:count]), encoder(images[:count]), rtol=1e-6)
    assert encode.experimental_get_tracing_count() == 1


def test_model_without_the_layer_is_refused() -> None:
    with pytest.raises(InputError, match="no layer named 'features'"):
        feature_encoder(classifier("pool"))
