"""Adversarial training: cross-entropy on PGD images; with `lsp` the paper's LSP+."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.training._trainer import RobustTrainer, Terms
from lsp_keras.training._units import deserialize_unit, serialize_unit

__all__ = ["ATTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class ATTrainer(RobustTrainer):
    """Minimizes the cross-entropy of adversarial images.

    The attack sees the classifier in inference mode. BatchNorm's moving averages follow the
    adversarial images. With the regularizer `LSP` this is the paper's LSP+ (Eq. 11): the anchor
    is the adversarial image, the neighbors are clean. Saved are the classifier, the settings of
    attack and regularizers, and the seed.

    Args:
        classifier: Maps float images in [0, 1] to logits.
        attack: Makes the adversarial images, for example
            `PGD(epsilon=8 / 255, step_size=2 / 255, num_steps=10)`.
        regularizers: Terms to add.
        seed: Of all random draws in training, such as the attack's starts.
        name: Of the model.

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
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)
        self.attack = attack

    def perturb(self, batch: Batch) -> tf.Tensor:
        """Adversarial images, float32 `(batch, height, width, channels)`."""
        return self.attack.perturb(
            self.classifier,
            batch["images"],
            batch["labels"],
            seed=self.step_seed(),
            indices=batch["indices"],
        )

    def adversarial_images(self, perturbed: tf.Tensor) -> tf.Tensor:
        """See `RobustTrainer.adversarial_images`."""
        return perturbed

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        """See `RobustTrainer.compute_terms`."""
        anchor = self.anchor_pass(perturbed, batch)
        return {"cross_entropy": self.cross_entropy(batch["labels"], anchor.logits)}, anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {**super().get_config(), "attack": serialize_unit("attack", self.attack)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The trainer that `get_config` described."""
        attack = deserialize_unit("attack", config["attack"])
        return super().from_config({**config, "attack": attack}, custom_objects)
