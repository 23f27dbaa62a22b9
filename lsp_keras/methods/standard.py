"""Standard training: cross-entropy on the images as they are; with `lsp` the paper's LSP."""

from typing import Any, ClassVar

import keras

from lsp_keras.methods._trainer import RobustTrainer, Terms
from lsp_keras.regularizers import Anchor, Batch

__all__ = ["StandardTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class StandardTrainer(RobustTrainer):
    """Minimizes the cross-entropy of clean images.

    BatchNorm's moving averages follow the clean images. With the regularizer `LSP` this is the
    paper's LSP (Eq. 7). Saved are the classifier, the regularizers' settings and the seed.

    Args:
        classifier: Maps float images in [0, 1] to logits.
        regularizers: Terms to add.
        seed: Of all random draws in training.
        name: Of the model.

    Example:
        >>> from lsp_keras.models import resnet18
        >>> trainer = StandardTrainer(resnet18(10, width=4))
        >>> trainer.compile("sgd", metrics=["accuracy"])
    """

    smooths_labels: ClassVar[bool] = True

    def compute_terms(self, batch: Batch, perturbed: Any) -> tuple[Terms, Anchor]:
        """See `RobustTrainer.compute_terms`."""
        anchor = self.anchor_pass(batch["images"], batch)
        return {"cross_entropy": self.cross_entropy(batch["labels"], anchor.logits)}, anchor
