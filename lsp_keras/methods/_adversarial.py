"""What all methods share that train on the images of an attack."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.methods._trainer import RobustTrainer
from lsp_keras.methods._units import deserialize_unit, serialize_unit
from lsp_keras.ops.warmup import warmed_share
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import check_positive


class AdversarialTrainer(RobustTrainer):
    """A method that makes adversarial images of each batch, with the classifier in inference mode.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        attack: Attack that makes the adversarial images.
        warmup_steps: Steps over which the perturbation grows from nothing to its full size; a
            network that is not robust yet needs some when it is fine-tuned.
        regularizers: Terms to add; their anchor is the adversarial image.
        seed: Seed of all random draws in training, such as the attack's starts.
        name: Name of the model.

    Attributes:
        attack_options: What `PGD` needs, beside its budget, to be the attack that the method was
            published with.
    """

    attack_options: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        classifier: keras.Model,
        *,
        attack: Attack,
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("warmup_steps", warmup_steps, allow_zero=True)
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)
        self.attack = attack
        self.warmup_steps = warmup_steps

    def perturb(self, batch: Batch) -> Any:
        """Adversarial images, float32 `(batch, height, width, channels)`."""
        images = batch["images"]
        adversarial = self.attack.perturb(
            self.networks.attacked,
            images,
            batch["labels"],
            seed=self.step_seed(),
            indices=batch["indices"],
        )
        if not self.warmup_steps:
            return adversarial
        return images + warmed_share(self.iteration(), self.warmup_steps) * (adversarial - images)

    def adversarial_images(self, perturbed: Any) -> tf.Tensor:
        return perturbed

    def clean_and_adversarial(
        self, batch: Batch, adversarial: tf.Tensor
    ) -> tuple[tf.Tensor, Anchor]:
        """Logits of the clean images, and those of the adversarial ones as the anchor.

        Two passes in training mode, in this order: each is normalized by its own statistics, and
        BatchNorm's moving averages follow both.
        """
        clean = self.forward(batch["images"])
        return clean.logits, replace(self.anchor_pass(adversarial, batch), clean=clean)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        own = {"attack": serialize_unit("attack", self.attack), "warmup_steps": self.warmup_steps}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The trainer that `get_config` described."""
        attack = deserialize_unit("attack", config["attack"])
        return super().from_config({**config, "attack": attack}, custom_objects)
