"""How far a table's targets are from equal shares: what they can teach at all."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.ops.distances import shares
from lsp_keras.ops.norms import l2_norm

# Measured: .12 to .17 with 8 neighbors (ResNets, CIFAR-10), the lengths of Q - 1/m. Like those
# they fall with the root of m.
_LOSS_OF_ONE = 0.14 * math.sqrt(8)
# Below this share of the loss, targets and equal shares give nearly the same gradient.
_MATTERS = 0.25


@dataclass(frozen=True)
class Contrast:
    """Of the paper's targets P, Eq. 2, and of the loss that they are part of.

    Attributes:
        of_targets: Mean length of P - 1/m.
        loss: LSP's loss with the divergence `l2`: what is usual, or what was measured.
    """

    of_targets: float
    loss: float

    @classmethod
    def of(cls, distances: npt.NDArray[np.floating]) -> "Contrast":
        """Of distances `(n, m)` to neighbors, beside the loss that is usual."""
        return cls(_deviation(distances), _LOSS_OF_ONE / math.sqrt(distances.shape[1]))

    @property
    def matters(self) -> bool:
        """Whether P can be told from equal shares next to the loss."""
        return self.of_targets >= _MATTERS * self.loss

    def sentence(self) -> str:
        """The two numbers, and what they come to."""
        text = (
            f"Contrast: P is {self.of_targets:.3f} away from equal shares, where the loss is "
            f"about {self.loss:.2f}"
        )
        if self.matters:
            return f"{text}."
        return (
            f"{text}: too little to matter, equal shares would teach the same. Targets with more: "
            "--lsp-target ranks, or --lsp-target kernel with --lsp-neighbors batch."
        )


def _deviation(distances: npt.NDArray[np.floating]) -> float:
    found = shares(tf.constant(np.asarray(distances, np.float32)))
    return float(tf.reduce_mean(l2_norm(found - 1.0 / distances.shape[1])))
