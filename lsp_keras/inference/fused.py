"""Layers computed by other kernels in training: batch normalizations, strided 1x1 convolutions."""

from typing import Any

import keras
import tensorflow as tf

from lsp_keras.inference.folding import COMPUTE_DTYPES, as_functional


def fused(model: Any) -> Any:
    """The same model with fewer passes over the memory, equal up to rounding.

    Keras writes a batch normalization as a dozen operations; TensorFlow has one kernel for it and
    one for its gradient. The layers and variables are the model's own, moving averages included,
    so that nothing changes in what is saved. A 1x1 convolution with a stride is computed on the
    pixels that it reads where the batch may be odd; see `PointwiseConvolution`.

    Args:
        model: A Keras model or anything else.

    Returns:
        A model of the same layers; `model` itself where it is not one of Keras's functional or
        sequential models or has nothing to fuse.
    """
    graph = as_functional(model)
    if graph is None:
        return model
    changed = False

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        nonlocal changed
        if _can_be_fused(layer) and options.get("mask") is None:
            changed = True
            return FusedNormalization(layer)(*inputs)
        if _is_strided_pointwise(layer):
            changed = True
            return PointwiseConvolution(layer)(*inputs)
        inner = fused(layer)
        changed |= inner is not layer
        return inner(*inputs, **options)

    found = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)
    return found if changed else model


class FusedNormalization(keras.Layer):
    """A batch normalization of Keras, by the fused kernels where it uses the batch's statistics."""

    def __init__(self, normalization: keras.layers.BatchNormalization) -> None:
        super().__init__(dtype=normalization.dtype_policy)
        self._normalization = normalization

    def call(self, values: Any, training: bool | None = None) -> Any:
        layer = self._normalization
        if not (training and layer.trainable):
            return layer(values, training=training)
        channels = layer.moving_mean.shape
        found = tf.raw_ops.FusedBatchNormV3(
            x=values,
            scale=tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones(channels),
            offset=tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros(channels),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=layer.epsilon,
            is_training=True,
        )
        _follow(layer.moving_mean, found.batch_mean, layer.momentum)
        # The kernel divides by one less than the number of values, Keras by the number.
        count = tf.cast(tf.size(values) // channels[0], tf.float32)
        _follow(layer.moving_variance, found.batch_variance * (count - 1.0) / count, layer.momentum)
        return found.y

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return shape


class PointwiseConvolution(keras.Layer):
    """A 1x1 convolution with a stride, on the pixels that the stride keeps.

    The gradient of such a filter aborts the process in TensorFlow 2.20 (oneDNN, several threads to
    an operator, odd batches). Batches that are known to be even pass the layer as it is.
    """

    def __init__(self, convolution: keras.layers.Conv2D) -> None:
        super().__init__(dtype=convolution.dtype_policy)
        self._convolution = convolution

    def call(self, values: Any) -> Any:
        layer, batch_size = self._convolution, values.shape[0]
        if batch_size is not None and batch_size % 2 == 0:
            return layer(values)
        rows, columns = layer.strides
        kernel = tf.cast(tf.convert_to_tensor(layer.kernel), values.dtype)
        found = tf.nn.conv2d(values[:, ::rows, ::columns], kernel, 1, "VALID")
        if layer.use_bias:
            found += tf.cast(tf.convert_to_tensor(layer.bias), values.dtype)
        return layer.activation(found)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the convolution."""
        return tuple(self._convolution.compute_output_shape(shape))


def _is_strided_pointwise(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.kernel_size == (1, 1)
        and max(layer.strides) > 1
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and layer.compute_dtype in COMPUTE_DTYPES
    )


def _follow(average: Any, value: tf.Tensor, momentum: float) -> None:
    average.assign(tf.convert_to_tensor(average) * momentum + value * (1.0 - momentum))


def _can_be_fused(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.axis in (-1, 3)
        and layer.input_spec.ndim == 4
        and layer.variable_dtype == "float32"
        and layer.compute_dtype in COMPUTE_DTYPES
        and not layer.synchronized
        and not getattr(layer, "renorm", False)
    )
