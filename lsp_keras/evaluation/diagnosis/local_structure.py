"""An attack that knows the LSP term: it climbs the loss that the model was trained to lower."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lsp_keras.attacks import Attack, Problem
from lsp_keras.attacks.pgd import PGD
from lsp_keras.losses.lsp import lsp_loss
from lsp_keras.ops.objectives import ascending_cross_entropy
from lsp_keras.types import Floats, Images, Norm, as_floats
from lsp_keras.validation import InputError


@dataclass(frozen=True)
class LocalStructure:
    """What the LSP term needs to know of the attacked images.

    Attributes:
        neighbor_images: Neighbors of each attacked image, uint8 `(n, m, height, width, channels)`.
        neighbor_distances: Distances to the neighbors in the feature space, float32 `(n, m)`.
        weight: Lambda that the model was trained with.
        divergence: D(P, Q), as `lsp_keras.losses.lsp.lsp_loss` takes it.
        normalize_logits: Whether logits are scaled to length one before their distances.
    """

    neighbor_images: Images
    neighbor_distances: Floats
    weight: float
    divergence: str
    normalize_logits: bool

    def under(self, predict: Callable[[Floats], Floats], num_images: int) -> "StructureTerm":
        """The term for one model: the neighbors' logits do not change under attack.

        Args:
            predict: Images to logits.
            num_images: Images that will be attacked.

        Raises:
            InputError: There are neighbors for another number of images.
        """
        if len(self.neighbor_distances) != num_images:
            raise InputError(
                f"`structure` must hold the neighbors of each of the {num_images} images. "
                f"Received: those of {len(self.neighbor_distances)}."
            )
        logits = np.stack([predict(as_floats(images)) for images in self.neighbor_images])
        return StructureTerm(self, logits)


@dataclass(frozen=True)
class StructureTerm:
    """The LSP loss of attacked images as a function of their logits alone.

    Attributes:
        structure: Local structure of the attacked images.
        neighbor_logits: Logits of the neighbors under the attacked model, float32
            `(n, m, classes)`.
    """

    structure: LocalStructure
    neighbor_logits: Floats

    def of(self, rows: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        """The LSP loss `(batch,)` of the images at these rows, as a function of their logits."""
        distances = tf.gather(self.structure.neighbor_distances, rows)
        neighbors = tf.gather(self.neighbor_logits, rows)

        def loss(logits: tf.Tensor) -> tf.Tensor:
            return lsp_loss(
                distances,
                logits,
                neighbors,
                divergence=self.structure.divergence,
                normalize_logits=self.structure.normalize_logits,
            )

        return loss


class StructureAttack(Attack):
    """PGD on cross entropy plus `weight` times the LSP loss of each image.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale.
        norm: Norm of the ball, `"linf"` or `"l2"`.
        num_steps: Steps.
        weight: Weight of the LSP loss.
        term: LSP term of the images that will be attacked; an image's index is its row.

    References:
        Local Structure Preserving, Eq. 9 to 11.
        Tramer et al., On Adaptive Attacks to Adversarial Example Defenses, 2020.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        num_steps: int = 20,
        weight: float,
        term: StructureTerm,
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.num_steps = num_steps
        self.weight = weight
        self.term = term

    def run(self, problem: Problem) -> tf.Tensor:
        structure = self.term.of(problem.indices)

        def objective(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            return ascending_cross_entropy(labels, logits) + self.weight * structure(logits)

        pgd = PGD(
            epsilon=self.epsilon, norm=self.norm, num_steps=self.num_steps, objective=objective
        )
        return pgd.run(problem)
