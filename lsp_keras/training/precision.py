"""A classifier that trains in half precision, in float32 for whoever measures or keeps it."""

from weakref import WeakKeyDictionary

import keras

_COPIES: WeakKeyDictionary[keras.Model, keras.Model] = WeakKeyDictionary()


def in_float32(classifier: keras.Model) -> keras.Model:
    """The classifier with its present weights, computing in float32.

    Under a mixed policy the weights are float32 already, and only the passes are not. Half
    precision would cost an attack precision, and so overstate robustness.

    Args:
        classifier: Functional or sequential.

    Returns:
        The classifier itself where no layer is of mixed precision; else a copy, always the same
        one, so that what was compiled for it serves again.
    """
    if not any(_is_mixed(layer) for layer in classifier.layers):
        return classifier
    if classifier not in _COPIES:
        _COPIES[classifier] = keras.models.clone_model(classifier, clone_function=_unmixed)
    copy = _COPIES[classifier]
    copy.set_weights(classifier.get_weights())
    return copy


def _is_mixed(layer: keras.layers.Layer) -> bool:
    return bool(layer.dtype_policy.name.startswith("mixed"))


def _unmixed(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.InputLayer):
        return layer
    if not _is_mixed(layer):
        return type(layer).from_config(layer.get_config())
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})
