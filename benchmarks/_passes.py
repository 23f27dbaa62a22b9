"""How many images go through a model forward and backward, in TensorFlow and in PyTorch."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import torch


class CountedKeras:
    """A Keras model that counts its images, in compiled graphs as well.

    The counts are variables, since a graph runs no Python.

    Args:
        model: A functional Keras classifier.

    Attributes:
        model: The same with a layer at its end that counts.
    """

    def __init__(self, model: Any) -> None:
        self._counter = _Counter()
        self.model = keras.Model(model.inputs[0], self._counter(model.outputs[0]))

    @property
    def counts(self) -> tuple[int, int]:
        """Images forward and backward so far."""
        return int(self._counter.forward), int(self._counter.backward)


class _Counter(keras.Layer):
    """Returns its input, and counts the rows that pass it on either way."""

    def __init__(self) -> None:
        super().__init__(trainable=False)
        self.forward = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.backward = tf.Variable(0, dtype=tf.int64, trainable=False)

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Logits `(batch, classes)`."""

        @tf.custom_gradient
        def count(logits: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return _after(self.forward, logits), lambda slope: _after(self.backward, slope)

        return count(logits)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return shape


def _after(counter: tf.Variable, values: tf.Tensor) -> tf.Tensor:
    """The values once their rows are counted."""
    with tf.control_dependencies([counter.assign_add(tf.shape(values, tf.int64)[0])]):
        return tf.identity(values)


class CountedTorch(torch.nn.Module):
    """A PyTorch classifier that counts its images.

    Args:
        network: The classifier.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._network = network
        self._forward = self._backward = 0
        self.eval()

    @property
    def counts(self) -> tuple[int, int]:
        """Images forward and backward so far."""
        return self._forward, self._backward

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `(batch, classes)`."""
        logits = self._network(images)
        self._forward += len(logits)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def _count_backward(self, slope: torch.Tensor) -> None:
        self._backward += len(slope)
