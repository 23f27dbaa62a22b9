"""The layers of a model that have a kernel, each with the batch normalization behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

_KINDS = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class KernelLayer:
    """A dense or convolutional layer.

    Attributes:
        layer: A `Dense`, `Conv2D` or `DepthwiseConv2D`.
        batch_norm: The batch normalization that alone takes the layer's output, or `None`.
    """

    layer: Any
    batch_norm: Any | None

    @property
    def name(self) -> str:
        """Of the layer."""
        return str(self.layer.name)

    @property
    def batch_norm_name(self) -> str | None:
        """Of the batch normalization."""
        return None if self.batch_norm is None else str(self.batch_norm.name)

    @property
    def output(self) -> Any:
        """Keras tensor of what the two compute together."""
        return (self.layer if self.batch_norm is None else self.batch_norm).output

    @property
    def groups(self) -> int:
        """Groups of channels that a convolution convolves by themselves."""
        if isinstance(self.layer, keras.layers.DepthwiseConv2D):
            return int(self.layer.input.shape[-1])
        return int(getattr(self.layer, "groups", 1))

    @property
    def folded_kernel(self) -> npt.NDArray[np.float64]:
        """The kernel of the two together, in inference mode.

        `(inputs, outputs)`, or `(height, width, inputs / groups, outputs)`.
        """
        kernel = np.asarray(self.layer.kernel, np.float64)
        if isinstance(self.layer, keras.layers.DepthwiseConv2D):
            kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
        return kernel if self.batch_norm is None else kernel * _scale(self.batch_norm)


def kernel_layers(model: Any) -> list[KernelLayer]:
    """Dense and two-dimensional convolutional layers of a functional model, in its order.

    Batch normalization is folded into a layer where it is the only thing that sees the layer's
    output: not behind a sum of branches, and not in front of a layer. Other models, and layers
    of models within the model, are left out.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        return []
    consumers: dict[int, list[Any]] = {}
    for layer in model.layers:
        for tensor in _tensors(layer, "input"):
            consumers.setdefault(id(tensor), []).append(layer)
    return [
        KernelLayer(layer, _following_batch_norm(layer, consumers))
        for layer in model.layers
        if isinstance(layer, _KINDS)
    ]


def _following_batch_norm(layer: Any, consumers: dict[int, list[Any]]) -> Any | None:
    if layer.activation is not keras.activations.linear:
        return None
    following = consumers.get(id(layer.output), [])
    if len(following) == 1 and isinstance(following[0], keras.layers.BatchNormalization):
        return following[0]
    return None


def _tensors(layer: Any, which: str) -> Iterator[Any]:
    yield from keras.tree.flatten(getattr(layer, which, []))


def _scale(batch_norm: Any) -> npt.NDArray[np.float64]:
    """What batch normalization multiplies each channel by in inference mode."""
    variance = np.asarray(batch_norm.moving_variance, np.float64)
    scale = 1.0 / np.sqrt(variance + batch_norm.epsilon)
    return scale * np.asarray(batch_norm.gamma, np.float64) if batch_norm.scale else scale
