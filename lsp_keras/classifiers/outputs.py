"""Logits of any classifier: what a model returns may be probabilities."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.inference.logits import LogitsFn, inference_logits
from lsp_keras.types import Flag, Floats
from lsp_keras.validation import InputError

_SUM_TOLERANCE = 1e-3
_SMALLEST_PROBABILITY = 1e-37


@dataclass(frozen=True)
class Outputs:
    """What a model answers.

    Attributes:
        logits_fn: The model itself where it returns logits, else one that does.
        num_classes: Number of logits.
        flags: What to tell the user.
    """

    logits_fn: LogitsFn
    num_classes: int
    flags: list[Flag]


def find_logits(model: LogitsFn, images: Floats) -> Outputs:
    """The model's logits, whether it returns them or probabilities.

    Args:
        model: A Keras classifier or a callable images -> outputs.
        images: float32 `(n, height, width, channels)`, a sample to look at the outputs of.

    Raises:
        InputError: The images do not fit the model, or its output is not `(n, classes)`.
    """
    check_image_shape(model, images)
    outputs = inference_logits(model)(tf.constant(images)).numpy()
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise InputError(
            "The model must return `(batch, classes)` with at least two classes. "
            f"Received: shape={outputs.shape}."
        )
    num_classes = outputs.shape[1]
    if not _are_probabilities(outputs):
        return Outputs(model, num_classes, [])
    without_softmax = _strip_softmax(model)
    if without_softmax is not None:
        return Outputs(without_softmax, num_classes, [probability_outputs(exact=True)])
    return Outputs(_Logarithm(model), num_classes, [probability_outputs(exact=False)])


def check_image_shape(model: LogitsFn, images: Floats) -> None:
    """Raises `InputError` where a Keras model takes images of another shape."""
    expected = getattr(model, "input_shape", None)
    if not isinstance(expected, tuple) or len(expected) != images.ndim:
        return
    pairs = zip(expected[1:], images.shape[1:], strict=True)
    if any(wanted is not None and wanted != given for wanted, given in pairs):
        raise InputError(
            f"The model takes images of shape {expected[1:]}. Received: {images.shape[1:]}. "
            "Choose the dataset that it was trained on."
        )


class _Logarithm:
    """Logarithm of a model's probabilities: logits up to a constant, where none saturates."""

    def __init__(self, model: LogitsFn) -> None:
        self._probabilities = inference_logits(model)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return tf.math.log(tf.maximum(self._probabilities(images), _SMALLEST_PROBABILITY))


def _are_probabilities(outputs: Floats) -> bool:
    sums = outputs.sum(axis=1)
    return bool(outputs.min() >= 0.0 and np.abs(sums - 1.0).max() < _SUM_TOLERANCE)


def _strip_softmax(model: LogitsFn) -> keras.Model | None:
    """The model up to its softmax, or `None` where it has no such end."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        return None
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return keras.Model(model.inputs, last.input)
    if getattr(last, "activation", None) is not keras.activations.softmax:
        return None
    if isinstance(last, keras.layers.Activation):
        return keras.Model(model.inputs, last.input)
    linear = type(last).from_config(last.get_config() | {"activation": "linear"})
    stripped = keras.Model(model.inputs, linear(last.input))
    linear.set_weights(last.get_weights())
    return stripped


def probability_outputs(exact: bool) -> Flag:
    """Raised for a model that returns probabilities.

    Args:
        exact: Whether the logits could be taken from before the model's softmax.
    """
    if exact:
        meaning = "The model ends in a softmax; the attacks used the logits before it."
        advice = "Nothing to do: the numbers are those of the logits."
    else:
        meaning = "The model returns probabilities; the attacks used their logarithms."
        advice = "Saturated probabilities hide gradients: give the model's logits if you can."
    measure = "1 where the model returns probabilities"
    return Flag("probability_outputs", 1.0, 0.0, measure, meaning, advice)
