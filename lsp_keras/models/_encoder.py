"""Encoders: what a network computes before its last layer, as a feature space."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.validation import InputError

FEATURES = "features"


def feature_encoder(classifier: keras.Model) -> keras.Model:
    """The part of a classifier up to its layer `features`; weights are shared.

    Args:
        classifier: Functional model with a layer of that name, as every registered model.

    Returns:
        Model from images in [0, 1] to features `(batch, dimensions)`.

    Raises:
        InputError: There is no such layer.
    """
    names = [layer.name for layer in classifier.layers]
    if FEATURES not in names:
        raise InputError(f"The model {classifier.name!r} has no layer named {FEATURES!r}.")
    features = classifier.get_layer(FEATURES).output
    # A sequence of layers that was never called has inputs, and no `input`.
    return keras.Model(classifier.inputs[0], features, name="encoder")


def compiled_encoder(encoder: keras.Model) -> Callable[[Any], tf.Tensor]:
    """The encoder in inference mode, as one graph for batches of every size.

    Args:
        encoder: Functional model from float32 images in [0, 1] to features.
    """
    signature = tf.TensorSpec((None, *encoder.input_shape[1:]), tf.float32)
    return tf.function(lambda images: encoder(images, training=False), input_signature=[signature])
