"""Training that starts from a trained network: a slower, or for a while frozen, backbone."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.classifiers.endings import is_graph
from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.validation import InputError, check_positive

# Of batches of images.
_IMAGES_RANK = 4


@keras.saving.register_keras_serializable("lsp_keras")
class FineTuningSGD(CoupledSGD):
    """`CoupledSGD` with a learning rate of its own for all variables but some, the head's.

    Args:
        learning_rate: Learning rate of the head: a number or a Keras schedule.
        head: Paths of the variables that learn at the full rate from the first step on.
        backbone_rate: What the learning rate of all others is multiplied by, in [0, 1].
        frozen_steps: Steps before the first that changes the others.
        options: Options of `CoupledSGD`.

    Raises:
        InputError: A value is out of its range.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        *,
        head: Sequence[str] = (),
        backbone_rate: float = 1.0,
        frozen_steps: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        if not 0 <= backbone_rate <= 1:
            raise InputError(
                f"`backbone_rate` must be in [0, 1]. Received: backbone_rate={backbone_rate:g}."
            )
        check_positive("frozen_steps", frozen_steps, allow_zero=True)
        self.head = list(head)
        self.backbone_rate = backbone_rate
        self.frozen_steps = frozen_steps

    def build(self, variables: Any) -> None:
        """Remembers which variables are the head's."""
        if not self.built:
            self._in_head = [variable.path in self.head for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable; see the class."""
        if self._in_head[self._get_variable_index(variable)]:
            super().update_step(gradient, variable, learning_rate)
            return
        done = tf.convert_to_tensor(self.iterations) >= self.frozen_steps
        active = tf.cast(done, gradient.dtype)
        rate = tf.cast(learning_rate, gradient.dtype) * self.backbone_rate * active
        super().update_step(gradient * active, variable, rate)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        names = ("head", "backbone_rate", "frozen_steps")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def head_of(classifier: keras.Model) -> list[str]:
    """Paths of the variables of a classifier's last layer with weights."""
    layers = [layer for layer in classifier._flatten_layers() if layer.trainable_variables]
    leaves = [layer for layer in layers if not any(True for _ in _inner(layer))]
    return [variable.path for variable in leaves[-1].trainable_variables]


def batch_norm_layers(classifier: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The BatchNorm layers of a model and of the models within it."""
    return [
        layer
        for layer in classifier._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def freeze_batch_norm(classifier: keras.Model) -> int:
    """Keeps BatchNorm as it is: its statistics, scales and shifts, in training too.

    Returns:
        Number of such layers.
    """
    found = batch_norm_layers(classifier)
    for layer in found:
        layer.trainable = False
    return len(found)


def convert_batch_norm(classifier: keras.Model) -> keras.Model:
    """The same function in inference mode, without BatchNorm.

    Each becomes the scale and the shift of its channels that it is there, and both learn on: no
    image depends on the others of its batch any more, and training starts where the model stood.
    They are built-in layers, so that the file loads anywhere; all other layers are the model's own.

    Args:
        classifier: Functional or sequential model, with others of these within it.

    Raises:
        InputError: A BatchNorm layer lies where no graph shows it, or not along the last axis.
    """
    converted: dict[int, keras.Layer] = {}

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.BatchNormalization):
            if id(layer) not in converted:
                converted[id(layer)] = _scale_and_shift(layer, inputs[0].shape)
            return converted[id(layer)](inputs[0])
        inner = convert(layer) if is_graph(layer) and batch_norm_layers(layer) else layer
        return inner(*inputs, **options)

    def convert(model: keras.Model) -> keras.Model:
        if id(model) not in converted:
            converted[id(model)] = keras.models.clone_model(
                keras.Model(_one(model.inputs), _one(model.outputs), name=model.name),
                clone_function=lambda layer: layer,
                call_function=call,
            )
        return converted[id(model)]

    found = convert(classifier) if is_graph(classifier) else classifier
    if left := batch_norm_layers(found):
        raise InputError(
            f"BatchNorm cannot be converted in {left[0].name}, which lies in a model of your own "
            "class. Keep it: --batch-norm frozen."
        )
    return found


def _one(tensors: Any) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def _scale_and_shift(layer: keras.layers.BatchNormalization, shape: Sequence[Any]) -> keras.Layer:
    """A built-in layer that multiplies each channel by a number and adds one."""
    if layer.axis not in (-1, len(shape) - 1):
        raise InputError(
            f"BatchNorm {layer.name} cannot be converted: its channels are on axis {layer.axis}, "
            "not on the last. Keep it: --batch-norm frozen."
        )
    options = {"name": layer.name, "dtype": layer.dtype_policy, "trainable": layer.trainable}
    if len(shape) == _IMAGES_RANK:
        made = keras.layers.DepthwiseConv2D(1, **options)
    else:
        made = keras.layers.EinsumDense("...c,c->...c", tuple(shape[1:]), bias_axes="c", **options)
    made.build(tuple(shape))
    scale = keras.ops.rsqrt(layer.moving_variance + layer.epsilon)
    if layer.scale:
        scale *= layer.gamma
    shift = -layer.moving_mean * scale
    if layer.center:
        shift += layer.beta
    made.set_weights([np.reshape(scale, made.weights[0].shape), np.asarray(shift)])
    return made


def _inner(layer: Any) -> Any:
    return (item for item in layer._flatten_layers(include_self=False) if item.trainable_variables)
