"""The closing activation of a Keras graph, and the same layers without it."""

import functools
from typing import Any, NamedTuple

import keras

from lsp_keras.classifiers.answers import LOGITS, OPERATIONS, kind_of

_PASSING = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)


class Ending(NamedTuple):
    """The end of a graph.

    Attributes:
        tensor: Symbolic logits, of the graph's own layers and weights.
        kind: What the graph answered, see `Answers`.
    """

    tensor: Any
    kind: str


def find_ending(tensor: Any) -> Ending | None:
    """The logits behind a graph's output; `None` where its layers do not tell.

    Layers in models within models are looked through, as are those after the activation that
    only reshape.

    Args:
        tensor: Symbolic output of a functional model.
    """
    operation, node = producer(tensor)
    activation = _activation(operation)
    if activation == "linear" and _is_weighted(operation):
        return Ending(tensor, LOGITS)
    if activation is not None and activation != "linear":
        if _is_weighted(operation):
            return Ending(linear_twin(operation)(node.input_tensors[0]), kind_of(activation))
        return Ending(node.input_tensors[0], kind_of(activation))
    if is_graph(operation):
        return _within(operation, node, tensor)
    if activation == "linear" or isinstance(operation, _PASSING):
        inner = find_ending(node.input_tensors[0])
        if inner is None or inner.kind == LOGITS:
            return None if inner is None else Ending(tensor, LOGITS)
        return Ending(operation(inner.tensor), inner.kind)
    return None


def producer(tensor: Any) -> tuple[Any, Any]:
    """The operation that computes a symbolic tensor, and its call."""
    history = tensor._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index]


def is_graph(operation: Any) -> bool:
    """Whether it is a functional or sequential model, whose layers can be seen."""
    return (
        isinstance(operation, keras.Model)
        and bool(getattr(operation, "inputs", None))
        and type(operation).call in (keras.Sequential.call, _functional().call)
    )


def linear_twin(layer: keras.Layer) -> keras.Layer:
    """The same layer without its activation, on the same variables: training one trains both."""
    twin: keras.Layer = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    for name, value in vars(layer).items():
        if isinstance(value, keras.Variable):
            setattr(twin, name, value)
    twin.built = True
    return twin


def _within(model: keras.Model, node: Any, tensor: Any) -> Ending | None:
    place = tensor._keras_history.tensor_index
    inner = find_ending(model.outputs[place])
    if inner is None or inner.kind == LOGITS:
        return None if inner is None else Ending(tensor, LOGITS)
    shortened = keras.Model(model.inputs, inner.tensor, name=model.name)
    return Ending(shortened(node.input_tensors), inner.kind)


def _activation(operation: Any) -> str | None:
    """Name of the activation with which an operation ends, if it is a known one."""
    if type(operation).__name__ in OPERATIONS and not isinstance(operation, keras.Layer):
        return OPERATIONS[type(operation).__name__] if _is_last_axis(operation) else None
    if isinstance(operation, keras.layers.Softmax):
        return "softmax" if _is_last_axis(operation) else None
    function = getattr(operation, "activation", None)
    for name in ("linear", "softmax", "sigmoid", "log_softmax"):
        if function is getattr(keras.activations, name):
            return name
    return None


def _is_last_axis(operation: Any) -> bool:
    return getattr(operation, "axis", -1) == -1


def _is_weighted(operation: Any) -> bool:
    return isinstance(operation, keras.Layer) and bool(operation.weights)


@functools.cache
def _functional() -> Any:
    """Keras's class of functional models, which has no public name."""
    images = keras.Input((1,))
    return type(keras.Model(images, images))
