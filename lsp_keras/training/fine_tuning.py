"""Training that starts from a trained network: a slower, or for a while frozen, backbone."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.validation import InputError, check_positive


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


def freeze_batch_norm(classifier: keras.Model) -> int:
    """Keeps BatchNorm as it is: its statistics, scales and shifts, in training too.

    Returns:
        Number of such layers.
    """
    found = [
        layer
        for layer in classifier._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in found:
        layer.trainable = False
    return len(found)


def _inner(layer: Any) -> Any:
    return (item for item in layer._flatten_layers(include_self=False) if item.trainable_variables)
