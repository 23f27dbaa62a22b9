"""Training on adversarial images under a gray veil."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.methods import AdversarialTrainer, Terms
from lsp_keras.regularizers import Anchor, Batch, Regularizer

__all__ = ["VeiledTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class VeiledTrainer(AdversarialTrainer):
    """Minimizes the cross-entropy of adversarial images that are blended with gray.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        attack: Attack that makes the adversarial images.
        warmup_steps: Steps over which the perturbation grows from nothing to its full size.
        grayness: Share of gray in each image.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.
    """

    smooths_labels = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        attack: Attack,
        warmup_steps: int = 0,
        grayness: float = 0.1,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            classifier,
            attack=attack,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )
        self.grayness = grayness

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        veiled = (1.0 - self.grayness) * perturbed + self.grayness * 0.5
        anchor = self.anchor_pass(veiled, batch)
        return {"cross_entropy": self.cross_entropy(batch["labels"], anchor.logits)}, anchor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "grayness": self.grayness}
