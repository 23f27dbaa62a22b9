"""What the last layer of a classifier reads: its features."""

from typing import Any

import keras

from lsp_keras.classifiers.endings import is_graph, producer
from lsp_keras.validation import InputError

# Layers between the last one with weights and the logits.
_PASSING = (keras.layers.Activation, keras.layers.Reshape, keras.layers.Identity)


def feature_model(classifier: keras.Model) -> keras.Model:
    """A model of the classifier's own layers whose outputs are `[features, logits]`.

    Features are what the last layer, a `Dense` one, reads: `(batch, units)`. It may lie in a
    model within the classifier.

    Raises:
        InputError: The classifier is not functional or sequential, or its last layer is another.
    """
    if not getattr(classifier, "outputs", None):
        raise InputError(
            "The features before the last layer are needed, so the classifier must be a "
            f"functional or sequential Keras model with an input. Received: {classifier!r}."
        )
    found = _find(classifier.outputs[0])
    if found is None:
        last = producer(classifier.outputs[0])[0]
        raise InputError(
            "The features are the input of the last Dense layer, so the classifier must end with "
            f"one. Its last layer is {last.name!r} of type {type(last).__name__}."
        )
    return keras.Model(classifier.inputs[0], list(found))


def _find(tensor: Any) -> tuple[Any, Any] | None:
    """Symbolic features and logits behind an output."""
    operation, node = producer(tensor)
    if isinstance(operation, keras.layers.Dense):
        is_linear = operation.activation is keras.activations.linear
        return (node.input_tensors[0], tensor) if is_linear else None
    if is_graph(operation):
        inner = _find(operation.outputs[tensor._keras_history.tensor_index])
        if inner is None:
            return None
        features, logits = keras.Model(operation.inputs, list(inner))(node.input_tensors)
        return features, logits
    passes = isinstance(operation, _PASSING)
    # Two classes from one unit: see `keras_model`.
    if operation.name == "two_classes" or (passes and _is_linear(operation)):
        before = _find(node.input_tensors[-1])
        return None if before is None else (before[0], tensor)
    return None


def _is_linear(operation: Any) -> bool:
    return getattr(operation, "activation", keras.activations.linear) is keras.activations.linear
