"""Adversarial training: cross-entropy on PGD images; with `lsp` the paper's LSP+."""

from collections.abc import Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.choices import LossChoice
from lsp_keras.methods._adversarial import AdversarialTrainer
from lsp_keras.methods._criterion import CriterionTrainer, check_criterion
from lsp_keras.methods._trainer import Terms
from lsp_keras.regularizers import Anchor, Batch, Regularizer

__all__ = ["ATTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class ATTrainer(CriterionTrainer, AdversarialTrainer):
    """Minimizes the cross-entropy of adversarial images, or another loss.

    The attack sees the classifier in inference mode. BatchNorm's moving averages follow the
    adversarial images. With the regularizer `LSP` this is the paper's LSP+ (Eq. 11): the anchor
    is the adversarial image, the neighbors are clean. Saved are the classifier, the settings of
    attack and regularizers, and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        attack: Attack that makes the adversarial images, for example
            `PGD(epsilon=8 / 255, step_size=2 / 255, num_steps=10)`.
        warmup_steps: Steps over which the perturbation grows from nothing to its full size; a
            network that is not robust yet needs some when it is fine-tuned.
        criterion: Loss of labels and logits to minimize in place of the cross-entropy: its name,
            or a mapping of its `name` and its settings.
        regularizers: Terms to add.
        seed: Seed of all random draws in training, such as the attack's starts.
        name: Name of the model.

    References:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, 2018,
        Eq. 2.1. Rice et al., Overfitting in adversarially robust deep learning, 2020.

    Differs from the reference:
        The attack runs in inference mode; the code of Rice et al. attacks in training mode.
    """

    smooths_labels: ClassVar[bool] = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        attack: Attack,
        warmup_steps: int = 0,
        criterion: LossChoice | None = None,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.criterion = check_criterion(criterion)
        AdversarialTrainer.__init__(
            self,
            classifier,
            attack=attack,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        anchor = self.anchor_pass(perturbed, batch)
        return self.criterion_terms(batch["labels"], anchor.logits), anchor
