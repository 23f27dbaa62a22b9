"""Adversarial weight perturbation: the gradient is taken where nearby weights do worse.

References:
    Wu et al., Adversarial Weight Perturbation Helps Robust Generalization, NeurIPS 2020, Eq. 8
    to 10, with one step; github.com/csdongxian/AWP.

Differs from the reference:
    The loss that the move climbs is the whole loss of the step, regularizers included. The
    weights are put back before the update, not after it, so that weight decay acts on the
    weights and not on the moved ones; and they are put back exactly, not by subtraction.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.methods._descent import Descent
from lsp_keras.ops.replicas import assign_all, sum_over_replicas


def descend_nearby(
    classifier: keras.Model,
    descend: Callable[[], Descent],
    *,
    gamma: float,
    active: tf.Tensor | None = None,
) -> Descent:
    """The pass at weights moved up its own loss; afterwards the weights are what they were.

    BatchNorm's moving averages follow the pass at the moved weights alone.

    Args:
        classifier: Classifier whose kernels are moved, neither its biases nor BatchNorm's
            parameters.
        descend: The pass at the weights as they are.
        gamma: Length of each kernel's move divided by that of the kernel.
        active: Whether to move at all, a bool scalar; `None` is always. The pass that finds the
            direction is left out where it is false.
    """
    places = [i for i, item in enumerate(classifier.trainable_variables) if len(item.shape) > 1]
    kernels = [classifier.trainable_variables[place] for place in places]

    def ascend() -> list[tf.Tensor]:
        # Moving averages and the state of dropout are left to the pass that counts.
        with keras.StatelessScope(collect_losses=True):
            gradients = descend().gradients
        found = [gradients[place] for place in places]
        return [tf.zeros_like(k) if g is None else g for k, g in zip(kernels, found, strict=True)]

    def stay() -> list[tf.Tensor]:
        return [tf.zeros_like(kernel) for kernel in kernels]

    gradients = ascend() if active is None else tf.cond(active, ascend, stay)
    with _moved(kernels, offsets(kernels, sum_over_replicas(gradients), gamma)):
        found = descend()
    return replace(found, terms=_once_returned(kernels, found.terms))


def offsets(
    kernels: Sequence[Any], gradients: Sequence[tf.Tensor], gamma: float
) -> list[tf.Tensor]:
    """The move of each kernel: along its gradient, `gamma` times as long as the kernel.

    Args:
        kernels: What is to be moved.
        gradients: Gradients of the loss, on any scale, one for each kernel.
        gamma: Length of the move divided by that of the kernel.

    Returns:
        Tensors of the kernels' shapes; zero where a gradient is zero or not finite, as happens
        under mixed precision while the loss scale is too large.
    """
    moves = []
    for kernel, gradient in zip(kernels, gradients, strict=True):
        length, slope = tf.norm(tf.convert_to_tensor(kernel)), tf.norm(gradient)
        factor = tf.math.divide_no_nan(gamma * length, slope)
        factor = tf.where(tf.math.is_finite(slope), factor, 0.0)
        moves.append(tf.math.multiply_no_nan(gradient, factor))
    return moves


@contextlib.contextmanager
def _moved(kernels: Sequence[Any], moves: Sequence[tf.Tensor]) -> Iterator[None]:
    """Adds the moves for the duration of the block, then puts the old values back."""
    values = [tf.identity(tf.convert_to_tensor(kernel)) for kernel in kernels]
    assign_all(kernels, [value + move for value, move in zip(values, moves, strict=True)])
    try:
        yield
    finally:
        assign_all(kernels, values)


def _once_returned(kernels: Sequence[Any], terms: Any) -> dict[str, tf.Tensor]:
    """The terms, not to be had before the kernels are back: a check of them may stop the graph."""
    with tf.control_dependencies([tf.identity(tf.convert_to_tensor(item)) for item in kernels]):
        return {name: tf.identity(values) for name, values in terms.items()}
