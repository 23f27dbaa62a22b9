"""The attack that leaves every image as it is."""

import tensorflow as tf

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._problem import Problem


class Unperturbed(Attack):
    """Finds exactly the clean mistakes, so that clean accuracy is measured like any other.

    Args:
        epsilon: Radius of the ball, not used.
        norm: `"linf"` or `"l2"`, not used.
    """

    supported_norms = ("linf", "l2", "l1")
    uses_gradients = False
    is_iterative = False

    def run(self, problem: Problem) -> tf.Tensor:
        return problem.images
