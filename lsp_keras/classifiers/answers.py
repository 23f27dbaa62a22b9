"""What a classifier answers, and the logits behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.types import Floats
from lsp_keras.validation import InputError

LOGITS = "logits"
SOFTMAX = "softmax"
SIGMOID = "sigmoid"
PERCENT = "percent"
LOG_PROBABILITIES = "log_probabilities"

_NAMES = {
    LOGITS: "logits",
    SOFTMAX: "probabilities of a softmax",
    SIGMOID: "probabilities of a sigmoid",
    PERCENT: "probabilities in percent",
    LOG_PROBABILITIES: "logarithms of probabilities",
}
_SMALLEST = 1e-37
_ONE_HALF_BITS = 2.0**-24
_PERCENT = 100.0
# Of the sum of a row of probabilities.
_SUM_TOLERANCE = 1e-3
_ROUNDINGS = 4.0
# Operations that end classifiers, in Keras and in TensorFlow, by the activation they compute.
OPERATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log_softmax"}


@dataclass(frozen=True)
class Answers:
    """What a model answers.

    Attributes:
        kind: Kind of the answers: `"logits"`, `"softmax"`, `"sigmoid"`, `"percent"` or
            `"log_probabilities"`.
        one_unit: Whether one number stands for two classes: it is the second one's.
        exact: Whether the logits are those the model computes itself, before its closing
            activation; otherwise they are computed from its answers.
        output: Name of the output that is read, `None` where there is one only.
    """

    kind: str
    one_unit: bool = False
    exact: bool = True
    output: str | None = None

    @property
    def are_probabilities(self) -> bool:
        """Whether the model answers anything but logits."""
        return self.kind != LOGITS

    def __str__(self) -> str:
        one = ", one unit for two classes" if self.one_unit else ""
        where = "" if self.output is None else f", output {self.output!r}"
        return f"{_NAMES[self.kind]}{one}{where}"

    def link(self, logits: tf.Tensor) -> tf.Tensor:
        """The probabilities that belong to the logits, `(batch, classes)`.

        Those of a sigmoid for each class need not sum to one.
        """
        if self.kind == SIGMOID and not self.one_unit:
            return tf.sigmoid(logits)
        return tf.nn.softmax(logits)

    def probabilities(self, outputs: tf.Tensor) -> tf.Tensor:
        """The probabilities in what the model itself answers, as `link` gives them."""
        outputs = tf.cast(outputs, tf.float32)
        if self.kind == LOGITS:
            return tf.nn.softmax(spread(outputs) if self.one_unit else outputs)
        if self.kind == PERCENT:
            outputs /= _PERCENT
        elif self.kind == LOG_PROBABILITIES:
            outputs = tf.exp(outputs)
        return tf.concat([1.0 - outputs, outputs], axis=-1) if self.one_unit else outputs

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Logits computed from what the model itself answers.

        Logarithms of probabilities are logits: a softmax gives the probabilities back. A number
        that stands alone, or for itself, becomes its log-odds.
        """
        outputs = tf.cast(outputs, tf.float32)
        if self.kind == PERCENT:
            outputs /= _PERCENT
        if self.kind == SIGMOID:
            inside = tf.clip_by_value(outputs, _SMALLEST, 1.0 - _ONE_HALF_BITS)
            outputs = tf.math.log(inside) - tf.math.log1p(-inside)
        elif self.kind in (SOFTMAX, PERCENT):
            outputs = tf.math.log(tf.maximum(outputs, _SMALLEST))
        return spread(outputs) if self.one_unit else outputs


def spread(logit: tf.Tensor) -> tf.Tensor:
    """Two logits, `(batch, 2)`, from the second class's log-odds `(batch, 1)`."""
    return tf.concat([tf.zeros_like(logit), logit], axis=-1)


def recognize(outputs: Floats, precision: str = "float32") -> str:
    """The kind of answers that these are.

    Probabilities lie in [0, 1] in every row, which logits of many images do not; those of a
    softmax besides sum to one. One unit in [0, 1] is the probability of the second class.

    Args:
        outputs: Outputs of the model, float32 `(n, classes)` or `(n, 1)`.
        precision: Type that the model computes in; rounding in half precision makes sums
            uncertain, the more so with many classes.
    """
    low, high = float(outputs.min()), float(outputs.max())
    classes = outputs.shape[1]
    tolerance = _tolerance(classes, precision)
    if low >= -tolerance and high <= 1.0 + tolerance:
        if classes == 1:
            return SIGMOID
        return SOFTMAX if _sums_to(outputs, 1.0, tolerance) else SIGMOID
    if classes > 1 and low >= 0.0 and _sums_to(outputs / _PERCENT, 1.0, tolerance):
        return PERCENT
    if classes > 1 and high <= 0.0 and _sums_to(np.exp(outputs), 1.0, tolerance):
        return LOG_PROBABILITIES
    return LOGITS


def check_outputs(outputs: npt.NDArray[Any]) -> Floats:
    """The answers as float32 `(n, classes)`, or `(n, 1)` for one unit.

    Raises:
        InputError: They have another shape.
    """
    shape = outputs.shape
    flat = outputs.reshape(shape[0], -1) if shape[1:-1] == (1,) * (len(shape) - 2) else outputs
    if flat.ndim != 2:
        raise InputError(
            "The model must answer one row of classes for each image, `(batch, classes)`. "
            f"Received: shape={shape}."
        )
    return flat.astype(np.float32)


def flat_rows(outputs: tf.Tensor) -> tf.Tensor:
    """`(batch,)`, `(batch, k)` and `(batch, 1, 1, k)` as `(batch, k)`."""
    if outputs.shape.rank == 2:
        return outputs
    width = outputs.shape[-1] if (outputs.shape.rank or 1) > 1 else 1
    return tf.reshape(outputs, [-1, width])


def kind_of(activation: str) -> str:
    """The kind of answers that an activation of that name gives."""
    return {
        "softmax": SOFTMAX,
        "sigmoid": SIGMOID,
        "log_softmax": LOG_PROBABILITIES,
        "linear": LOGITS,
    }[activation]


def _tolerance(classes: int, precision: str) -> float:
    half = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
    unit = next((half[name] for name in half if name in precision), 2.0**-23)
    return float(max(_SUM_TOLERANCE, _ROUNDINGS * unit * np.sqrt(classes)))


def _sums_to(outputs: Floats, total: float, tolerance: float) -> bool:
    return bool(np.abs(outputs.sum(axis=1) - total).max() < tolerance)


Transform = Callable[[tf.Tensor], tf.Tensor]
