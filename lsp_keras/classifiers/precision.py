"""float32 copies of models that compute in half precision."""

from typing import Any

import keras

from lsp_keras.validation import InputError


def precision_of(model: keras.Model) -> str:
    """Type in which a model computes: that of its least precise layer."""
    layers = [item for item in model._flatten_layers() if item.weights]
    found = {layer.compute_dtype for layer in layers if layer is not model}
    return next((name for name in ("float16", "bfloat16") if name in found), "float32")


def float32_copy(model: keras.Model) -> keras.Model:
    """The same model with the same weights, computing in float32.

    Args:
        model: Made of layers that Keras can rebuild from their configuration.

    Raises:
        InputError: It cannot be rebuilt.
    """
    try:
        config = _in_float32(keras.saving.serialize_keras_object(model))
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


def _in_float32(config: Any) -> Any:
    """The configuration with every policy of half precision replaced."""
    if isinstance(config, dict):
        if config.get("class_name") in ("DTypePolicy", "FloatDTypePolicy"):
            return {**config, "config": {"name": "float32"}}
        return {
            name: "float32" if name == "dtype" and _is_half(value) else _in_float32(value)
            for name, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(value) for value in config)
    return config


def _is_half(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(("float16", "bfloat16"))
