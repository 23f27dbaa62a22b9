"""Models in half precision, computed in float32: copies to keep, and traces on their variables."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import keras
import tensorflow as tf

from lsp_keras.inference.logits import LogitsFn
from lsp_keras.validation import InputError

_HALF = ("float16", "bfloat16")
_LOCK = threading.RLock()
_COPIES: WeakKeyDictionary[keras.Model, keras.Model] = WeakKeyDictionary()


def precision_of(model: keras.Model) -> str:
    """Type in which a model computes: that of its least precise layer."""
    layers = [item for item in model._flatten_layers() if item.weights]
    found = {layer.compute_dtype for layer in layers if layer is not model}
    return next((name for name in _HALF if name in found), "float32")


def in_float32(model: keras.Model) -> keras.Model:
    """The model with its present weights, computing in float32, for whoever measures or keeps it.

    Under a mixed policy the weights are float32 already, and only the passes are not. Half
    precision would cost an attack precision, and so overstate robustness.

    Args:
        model: Model made of layers that Keras can rebuild from their configuration.

    Returns:
        The model itself where it computes in float32; else a copy, always the same one, so that
        what was compiled for it serves again.

    Raises:
        InputError: It cannot be rebuilt.
    """
    if precision_of(model) == "float32":
        return model
    if model not in _COPIES:
        _COPIES[model] = _float32_copy(model)
    copy = _COPIES[model]
    copy.set_weights(model.get_weights())
    return copy


def in_full_precision(logits_fn: LogitsFn) -> LogitsFn:
    """The same model with all its layers computing in float32, from the same variables.

    Half precision rounds a small slope to zero and a small step away: an attack that runs in it
    breaks less than the model deserves. Attacks therefore run on this copy, and what they find
    is checked on the model itself.

    Args:
        logits_fn: A Keras model or any other function.

    Returns:
        A function of images; `logits_fn` itself where no layer computes in half precision.
    """
    if not isinstance(logits_fn, keras.Layer) or not list(_half_layers(logits_fn)):
        return logits_fn

    def logits(images: tf.Tensor) -> Any:
        with _computing_in_float32(logits_fn):
            return logits_fn(images, training=False)

    return logits


@contextlib.contextmanager
def _computing_in_float32(model: keras.Layer) -> Iterator[None]:
    """Changes layers and inputs for the duration of a call, that is, of a trace."""
    with _LOCK:
        layers, inputs = list(_half_layers(model)), list(_half_inputs(model))
        policies = [layer.dtype_policy for layer in layers]
        dtypes = [item.dtype for item in inputs]
        try:
            for layer in layers:
                layer.dtype_policy = _float32_policy(layer)
            for item in inputs:
                item._dtype = "float32"
            yield
        finally:
            for layer, policy in zip(layers, policies, strict=True):
                layer.dtype_policy = policy
            for item, dtype in zip(inputs, dtypes, strict=True):
                item._dtype = dtype


def _float32_policy(layer: keras.Layer) -> keras.DTypePolicy:
    """Computes in float32, whatever the layer's variables are kept in."""
    policy = keras.DTypePolicy("float32")
    if layer.weights:
        # Keras casts variables only where their type and that of the computation differ.
        policy._variable_dtype = layer.variable_dtype
    return policy


def _half_layers(model: keras.Layer) -> Iterator[keras.Layer]:
    return (layer for layer in _all_layers(model) if layer.compute_dtype in _HALF)


def _half_inputs(model: keras.Layer) -> Iterator[Any]:
    """What models inside of another cast their inputs to: input layers and symbolic tensors."""
    for layer in _all_layers(model):
        inputs = [layer] if isinstance(layer, keras.layers.InputLayer) else []
        for item in [*inputs, *(getattr(layer, "_inputs", None) or ())]:
            if item.dtype in _HALF:
                yield item


def _all_layers(model: keras.Layer) -> Iterator[keras.Layer]:
    for layer in model._flatten_layers(include_self=True, recursive=True):
        # A sequential model computes by a functional one, which is not among its layers.
        functional = getattr(layer, "_functional", None)
        yield from (layer,) if functional is None else (functional, layer)


def _float32_copy(model: keras.Model) -> keras.Model:
    try:
        config = _with_float32(keras.saving.serialize_keras_object(model))
        copy: keras.Model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if not copy.built:
            copy.build(model.get_build_config()["input_shape"])
        copy.set_weights(model.get_weights())
    except (TypeError, ValueError, NotImplementedError, AttributeError, KeyError) as error:
        raise InputError(
            f"{model.name!r} computes in half precision, in which gradients vanish, and it cannot "
            "be rebuilt in float32. Write `get_config` for its classes, or pass the model built "
            "under the policy float32."
        ) from error
    return copy


def _with_float32(config: Any) -> Any:
    """The configuration with every policy of half precision replaced."""
    if isinstance(config, dict):
        if config.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
            return {**config, "config": {"name": "float32"}}
        return {
            name: "float32" if name == "dtype" and _is_half(value) else _with_float32(value)
            for name, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_with_float32(value) for value in config)
    return config


def _is_half(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(_HALF)
