"""Batch normalizations folded into the convolutions before them."""

from typing import Any

import keras
from keras import ops

# What layers compute in that are arranged anew; others are left as they are.
COMPUTE_DTYPES = ("float32", "float16", "bfloat16")


def folded(logits_fn: Any) -> Any:
    """The same function with fewer passes over the memory, equal up to rounding.

    In inference mode a batch normalization scales and shifts each channel: the scale goes into
    the kernel of the convolution before it, the shift becomes its bias. Both are computed at
    each call, so that later changes of the weights count.

    Args:
        logits_fn: A Keras model or any other function.

    Returns:
        A model of the same layers, or `logits_fn` where it is not one of Keras's functional or
        sequential models or has nothing to fold.
    """
    graph = as_functional(logits_fn)
    if graph is None:
        return logits_fn
    # By the convolution's output: the layer and what it was called with.
    convolved: dict[int, tuple[keras.layers.Conv2D, Any]] = {}
    changed = False

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        nonlocal changed
        convolution, values = convolved.get(id(inputs[0]), (None, None))
        if convolution is not None and _is_normalization(layer, convolution.compute_dtype):
            changed = True
            return NormalizedConvolution(convolution, layer)(values)
        inner = folded(layer)
        changed |= inner is not layer
        outputs = inner(*inputs, **options)
        if _is_convolution(layer):
            convolved[id(outputs)] = layer, inputs[0]
        return outputs

    model = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)
    return model if changed else logits_fn


class NormalizedConvolution(keras.Layer):
    """A convolution and the batch normalization after it, in inference mode."""

    def __init__(
        self, convolution: keras.layers.Conv2D, normalization: keras.layers.BatchNormalization
    ) -> None:
        # That of the two layers, whatever new ones would compute in.
        super().__init__(dtype=convolution.dtype_policy)
        self._convolution = convolution
        self._normalization = normalization

    def call(self, values: Any) -> Any:
        convolution, normalization = self._convolution, self._normalization
        # The averages are float32 under a mixed policy too; what the convolution reads is not.
        scale = ops.rsqrt(normalization.moving_variance + normalization.epsilon)
        if normalization.scale:
            scale *= normalization.gamma
        shift = -normalization.moving_mean * scale
        if normalization.center:
            shift += normalization.beta
        if convolution.use_bias:
            shift += convolution.bias * scale
        convolved = ops.conv(
            values,
            ops.cast(convolution.kernel * scale, self.compute_dtype),
            strides=convolution.strides,
            padding=convolution.padding,
            data_format=convolution.data_format,
            dilation_rate=convolution.dilation_rate,
        )
        return convolved + ops.cast(shift, self.compute_dtype)


def as_functional(logits_fn: Any) -> keras.Model | None:
    """The model as a graph of layers, if it is no more than that."""
    if not isinstance(logits_fn, keras.Model):
        return None
    inputs: Any = getattr(logits_fn, "inputs", None) or ()
    outputs: Any = getattr(logits_fn, "outputs", None) or ()
    if len(inputs) != 1 or len(outputs) != 1:
        return None
    graph = keras.Model(inputs[0], outputs[0])
    # A class of the user's may do more than its layers when called.
    return graph if type(logits_fn) in (type(graph), keras.Sequential) else None


def _is_convolution(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and layer.compute_dtype in COMPUTE_DTYPES
    )


def _is_normalization(layer: keras.Layer, compute_dtype: str) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.axis in (-1, 3)
        and layer.compute_dtype == compute_dtype
    )
