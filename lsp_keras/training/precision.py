"""A classifier that trains in half precision, in float32 for whoever measures or keeps it."""

from weakref import WeakKeyDictionary

import keras

from lsp_keras.classifiers.precision import float32_copy, precision_of

_COPIES: WeakKeyDictionary[keras.Model, keras.Model] = WeakKeyDictionary()


def in_float32(classifier: keras.Model) -> keras.Model:
    """The classifier with its present weights, computing in float32.

    Under a mixed policy the weights are float32 already, and only the passes are not. Half
    precision would cost an attack precision, and so overstate robustness.

    Args:
        classifier: Made of layers that Keras can rebuild from their configuration.

    Returns:
        The classifier itself where it computes in float32; else a copy, always the same one, so
        that what was compiled for it serves again.

    Raises:
        InputError: It cannot be rebuilt.
    """
    if precision_of(classifier) == "float32":
        return classifier
    if classifier not in _COPIES:
        _COPIES[classifier] = float32_copy(classifier)
    copy = _COPIES[classifier]
    copy.set_weights(classifier.get_weights())
    return copy
