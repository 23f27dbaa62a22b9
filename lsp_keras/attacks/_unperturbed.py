"""The attack that leaves every image as it is."""

from collections.abc import Callable

import tensorflow as tf

from lsp_keras.attacks._base import Attack


class Unperturbed(Attack):
    """Finds exactly the clean mistakes, so that clean accuracy is measured like any other.

    Args:
        epsilon: Radius of the ball, not used.
        norm: `"linf"` or `"l2"`, not used.
    """

    supported_norms = ("linf", "l2", "l1")
    uses_gradients = False

    def run(
        self,
        logits_fn: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        labels: tf.Tensor,
        *,
        seed: tf.Tensor,
        indices: tf.Tensor,
    ) -> tf.Tensor:
        """See `Attack.run`."""
        return images
