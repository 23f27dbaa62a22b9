"""Half-precision copies of models."""

import keras
import numpy as np

from lsp_keras.validation import InputError

_LARGEST = float(np.finfo(np.float16).max)


def to_float16(model: keras.Model) -> keras.Model:
    """A copy with weights and computation in float16.

    Args:
        model: Functional or sequential model of layers that can be rebuilt from their
            configuration.

    Returns:
        A model that takes float32 images and returns float16 logits.

    Raises:
        InputError: A weight is too large for float16.
    """
    for variable in model.variables:
        largest = float(np.max(np.abs(variable.numpy()), initial=0.0))
        if largest > _LARGEST:
            raise InputError(
                f"The weight {variable.path} reaches {largest:g}, more than float16 holds "
                f"({_LARGEST:g}). Export without float16."
            )
    copy = keras.models.clone_model(model, clone_function=_halved, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _halved(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.InputLayer):
        return layer
    return type(layer).from_config({**layer.get_config(), "dtype": "float16"})
