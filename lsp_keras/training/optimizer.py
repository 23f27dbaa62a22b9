"""Stochastic gradient descent as the published settings mean it."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from lsp_keras.ops.replicas import sum_over_replicas
from lsp_keras.validation import InputError, check_positive


@keras.saving.register_keras_serializable("lsp_keras")
class CoupledSGD(keras.optimizers.Optimizer):
    """SGD with momentum whose weight decay is an L2 penalty, exactly as in PyTorch.

        gradient = gradient + weight_decay * weight
        velocity = momentum * velocity + gradient
        weight  -= learning_rate * (gradient + momentum * velocity)    Nesterov
        weight  -= learning_rate * velocity                            otherwise

    Every published setting that this package reproduces was found with PyTorch's SGD. Keras's
    own differs twice: its `weight_decay` shrinks the weight by itself and never enters the
    momentum, and its velocity already holds the learning rate, so that after a drop of the
    learning rate it goes on with the old, larger steps.

    Args:
        learning_rate: A number or a Keras schedule.
        momentum: Momentum in [0, 1), or a Keras schedule such as `OneCycleMomentum`.
        nesterov: Whether to look one step ahead.
        weight_decay: L2 penalty of all weights, biases and BatchNorm's scales and shifts, as
            PyTorch does by default; `exclude_from_weight_decay` makes exceptions.
        global_clipnorm: Largest norm of all gradients together, those of all replicas summed,
            before the weight decay and, under mixed precision, after the loss scale is undone.
        name: Name of the optimizer.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> CoupledSGD(0.1, weight_decay=5e-4).nesterov
        True

    References:
        Sutskever et al., On the importance of initialization and momentum in deep learning, 2013.
        PyTorch, torch.optim.SGD.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        *,
        momentum: Any = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        global_clipnorm: float | None = None,
        name: str = "coupled_sgd",
    ) -> None:
        super().__init__(learning_rate, global_clipnorm=global_clipnorm, name=name)
        check_positive("weight_decay", weight_decay, allow_zero=True)
        if not callable(momentum) and not 0 <= momentum < 1:
            raise InputError(f"`momentum` must be in [0, 1). Received: momentum={momentum:g}.")
        self.momentum = momentum
        self.nesterov = nesterov
        # The base class's `weight_decay` stays `None`: it stands for Keras's decoupled form.
        self.coupled_weight_decay = weight_decay

    def build(self, variables: Any) -> None:
        """Creates one velocity for each variable."""
        if not self.built:
            super().build(variables)
            self.velocities = self.add_optimizer_variables(variables, "velocity")

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Keras's, which by itself would clip each replica's share of the gradient."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if self.global_clipnorm and replicas > 1:
            present = [place for place, gradient in enumerate(grads) if gradient is not None]
            total = sum_over_replicas([grads[place] for place in present])
            clipped, _ = tf.clip_by_global_norm(total, self.global_clipnorm)
            shares = {place: item / replicas for place, item in zip(present, clipped, strict=True)}
            grads = [shares.get(place) for place in range(len(grads))]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable; see the class."""
        if self.coupled_weight_decay and self._use_weight_decay(variable):
            gradient = gradient + self.coupled_weight_decay * ops.convert_to_tensor(variable)
        old = self.velocities[self._get_variable_index(variable)]
        momentum = self.momentum(self.iterations) if callable(self.momentum) else self.momentum
        momentum = ops.cast(momentum, variable.dtype)
        velocity = momentum * ops.convert_to_tensor(old) + gradient
        self.assign(old, velocity)
        direction = gradient + momentum * velocity if self.nesterov else velocity
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * direction)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        base = super().get_config()
        momentum = self.momentum
        if callable(momentum):
            momentum = keras.saving.serialize_keras_object(momentum)
        return {name: base[name] for name in ("learning_rate", "global_clipnorm", "name")} | {
            "momentum": momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.coupled_weight_decay,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CoupledSGD":
        """The optimizer that `get_config` described."""
        momentum = config["momentum"]
        if isinstance(momentum, dict):
            momentum = keras.saving.deserialize_keras_object(momentum, custom_objects)
        made: CoupledSGD = super().from_config({**config, "momentum": momentum}, custom_objects)
        return made
