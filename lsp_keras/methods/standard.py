"""Standard training: cross-entropy on the images as they are; with `lsp` the paper's LSP."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from lsp_keras.choices import LossChoice
from lsp_keras.methods._criterion import CriterionTrainer, check_criterion
from lsp_keras.methods._trainer import Terms
from lsp_keras.regularizers import Anchor, Batch, Regularizer

__all__ = ["StandardTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class StandardTrainer(CriterionTrainer):
    """Minimizes the cross-entropy of clean images, or another loss.

    BatchNorm's moving averages follow the clean images. With the regularizer `LSP` this is the
    paper's LSP (Eq. 7). Saved are the classifier, the regularizers' settings and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        criterion: Loss of labels and logits to minimize in place of the cross-entropy: its name,
            or a mapping of its `name` and its settings.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Example:
        >>> from lsp_keras.models import resnet18
        >>> trainer = StandardTrainer(resnet18(10, width=4))
        >>> trainer.compile("sgd", metrics=["accuracy"])
    """

    smooths_labels: ClassVar[bool] = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        criterion: LossChoice | None = None,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.criterion = check_criterion(criterion)
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)

    def compute_terms(self, batch: Batch, perturbed: Any) -> tuple[Terms, Anchor]:
        anchor = self.anchor_pass(batch["images"], batch)
        return self.criterion_terms(batch["labels"], anchor.logits), anchor
