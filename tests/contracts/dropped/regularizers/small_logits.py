"""Logits stay small."""

from collections.abc import Mapping

import tensorflow as tf

from lsp_keras.regularizers import Regularizer, Step

__all__ = ["SmallLogits"]


class SmallLogits(Regularizer):
    """Adds the mean power of the logits' sizes.

    Args:
        weight: Factor of the term; 0 only measures.
        power: Exponent, 1 or more.
        name: Name of the term in the logs.
    """

    def __init__(
        self, *, weight: float = 0.01, power: float = 2.0, name: str = "small_logits"
    ) -> None:
        super().__init__(name=name)
        self.weight = weight
        self.power = power

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        return {self.name: self.weight}

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        sizes = tf.abs(tf.cast(step.anchor.logits, tf.float32))
        return {self.name: tf.reduce_mean(sizes**self.power, axis=1)}
