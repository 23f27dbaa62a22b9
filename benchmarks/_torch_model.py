"""A Keras classifier's weights in PyTorch, so that both frameworks attack the same function."""

from typing import Any

import keras
import torch
from keras import tree


class TorchClassifier(torch.nn.Module):
    """Evaluates a functional Keras model layer by layer with PyTorch's own operations.

    Images are `(batch, channels, height, width)` as PyTorch has them. Knows the layers of this
    project's residual networks and nothing else.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._steps = [(layer.name, parents(layer)) for layer in model.layers]
        self._operations = torch.nn.ModuleDict(
            {layer.name: CONVERTERS[type(layer).__name__](layer) for layer in model.layers}
        )
        self.eval().requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `(batch, classes)`."""
        values: dict[str, torch.Tensor] = {}
        for name, sources in self._steps:
            inputs = [values[source] for source in sources] or [images]
            values[name] = self._operations[name](*inputs)
        return values[self._steps[-1][0]]


class Add(torch.nn.Module):
    """Sum of two tensors."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """The sum."""
        return left + right


class Normalize(torch.nn.Module):
    """Images less their mean, divided by their deviation."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.register_buffer("mean", _tensor(layer.mean).reshape(1, -1, 1, 1))
        self.register_buffer("deviation", _tensor(layer.variance).reshape(1, -1, 1, 1).sqrt())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized images."""
        return (images - self.mean) / self.deviation


class GlobalAverage(torch.nn.Module):
    """Mean over height and width."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Features `(batch, channels)`."""
        return maps.mean(dim=(2, 3))


def parents(layer: Any) -> list[str]:
    """Names of the layers whose outputs a layer takes."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in tree.flatten(layer.input)]


def _tensor(value: Any) -> torch.Tensor:
    return torch.tensor(keras.ops.convert_to_numpy(value))


def _convolution(layer: Any) -> torch.nn.Module:
    weights = _tensor(layer.kernel).permute(3, 2, 0, 1).contiguous()
    out_channels, in_channels, size, _ = weights.shape
    padding = size // 2 if layer.padding == "same" else 0
    result = torch.nn.Conv2d(
        in_channels, out_channels, size, layer.strides, padding, bias=layer.use_bias
    )
    result.weight.data = weights
    if layer.use_bias:
        result.bias.data = _tensor(layer.bias)
    return result


def _batch_norm(layer: Any) -> torch.nn.Module:
    result = torch.nn.BatchNorm2d(layer.gamma.shape[0], eps=layer.epsilon)
    result.weight.data, result.bias.data = _tensor(layer.gamma), _tensor(layer.beta)
    result.running_mean = _tensor(layer.moving_mean)
    result.running_var = _tensor(layer.moving_variance)
    return result


def _dense(layer: Any) -> torch.nn.Module:
    result = torch.nn.Linear(*layer.kernel.shape)
    result.weight.data = _tensor(layer.kernel).T.contiguous()
    result.bias.data = _tensor(layer.bias)
    return result


def _activation(layer: Any) -> torch.nn.Module:
    return {"relu": torch.nn.ReLU, "silu": torch.nn.SiLU}[layer.activation.__name__]()


CONVERTERS = {
    "InputLayer": lambda layer: torch.nn.Identity(),
    "Normalization": Normalize,
    "ZeroPadding2D": lambda layer: torch.nn.ZeroPad2d(layer.padding[0][0]),
    "Conv2D": _convolution,
    "BatchNormalization": _batch_norm,
    "Activation": _activation,
    "Add": lambda layer: Add(),
    "GlobalAveragePooling2D": lambda layer: GlobalAverage(),
    "Dense": _dense,
}
