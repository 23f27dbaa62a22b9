"""Exponential moving average of a classifier's weights."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from lsp_keras.ops.replicas import assign_all
from lsp_keras.validation import InputError


class WeightAverage(keras.layers.Layer):
    """Holds `average = d * average + (1 - d) * weight` for all weights of a classifier.

    BatchNorm's moving mean and variance are weights too and averaged like the others. Over
    the steps t = 0, 1, ... d is `min(decay, (1 + t) / (10 + t))`, so that the weights of the
    start are soon forgotten. The variables belong to the trainer, whose files hold them.

    Args:
        classifier: Classifier whose weights are the first average.
        decay: Share of the average that each step keeps, in (0, 1).

    Raises:
        InputError: The classifier has no weights yet.

    References:
        Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, 2018,
        and Rebuffi et al., Fixing Data Augmentation to Improve Adversarial Robustness, 2021, for
        its use in adversarial training; `tf.train.ExponentialMovingAverage` for the first steps.
    """

    def __init__(self, classifier: keras.Model, decay: float) -> None:
        super().__init__(name="average", trainable=False)
        if not classifier.built:
            raise InputError("Averaging needs a classifier whose weights exist. Call it once.")
        self.decay = decay
        for weight in classifier.weights:
            average = self.add_weight(
                shape=weight.shape, dtype=weight.dtype, initializer="zeros", trainable=False
            )
            average.assign(weight)
        self.built = True

    def update(self, classifier: keras.Model, step: tf.Tensor) -> None:
        """Takes in the weights after a step, counted from 0."""
        count = tf.cast(step, tf.float32)
        gain = 1.0 - tf.minimum(self.decay, (1.0 + count) / (10.0 + count))
        assign_all(
            self.weights,
            [
                _towards(tf.convert_to_tensor(average), tf.convert_to_tensor(weight), gain)
                for average, weight in zip(self.weights, classifier.weights, strict=True)
            ],
        )

    @contextlib.contextmanager
    def applied_to(self, classifier: keras.Model) -> Iterator[keras.Model]:
        """Gives the classifier the averaged weights for the duration of the block.

        What was compiled for the classifier serves for the average too.
        """
        weights = classifier.get_weights()
        classifier.set_weights(self.get_weights())
        try:
            yield classifier
        finally:
            classifier.set_weights(weights)


def _towards(average: tf.Tensor, weight: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    """Equal values stay equal to the last bit; what cannot be averaged follows the weight."""
    if not average.dtype.is_floating:
        return weight
    return average + tf.cast(gain, average.dtype) * (weight - average)
