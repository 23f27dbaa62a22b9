"""AugMix: cross-entropy on clean images, and two mixed views that must be predicted alike."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import tensorflow as tf

from lsp_keras.augmentations.augmix import AugMix
from lsp_keras.losses.jensen_shannon import jensen_shannon
from lsp_keras.methods._trainer import RobustTrainer, Terms, Weights
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import check_positive

__all__ = ["AugMixTrainer"]

_NUM_MIXED = 2


@keras.saving.register_keras_serializable("lsp_keras")
class AugMixTrainer(RobustTrainer):
    """Adds the divergence of three views of each image to the cross-entropy of the first.

    The views are the clean image and two that `AugMix` makes of it. They pass the classifier in
    one batch, so BatchNorm's statistics and moving averages are those of all three. Regularizers
    and metrics start from the clean images. Saved are the classifier, the settings below,
    those of the regularizers, and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        consistency_weight: Weight of the Jensen-Shannon divergence.
        severity: Largest strength of an operation, in (0.1, 10].
        num_chains: Chains that are mixed ("width" in the paper).
        max_depth: Most operations in a chain; each has a random number from one up to this.
        regularizers: Terms to add.
        seed: Seed of all random draws in training.
        name: Name of the model.

    Raises:
        InputError: A value is out of its range.

    References:
        Hendrycks et al., AugMix: A Simple Data Processing Method to Improve Robustness and
        Uncertainty, ICLR 2020, Algorithm 1 and Eq. 2; github.com/google-research/augmix.
    """

    smooths_labels: ClassVar[bool] = True

    def __init__(
        self,
        classifier: keras.Model,
        *,
        consistency_weight: float = 12.0,
        severity: float = 3.0,
        num_chains: int = 3,
        max_depth: int = 3,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("consistency_weight", consistency_weight, allow_zero=True)
        # The base class asks for the weights of all terms.
        self.consistency_weight = consistency_weight
        super().__init__(classifier, regularizers=regularizers, seed=seed, name=name)
        self.augmentation = AugMix(severity=severity, num_chains=num_chains, max_depth=max_depth)

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return {"cross_entropy": 1.0, "jensen_shannon": self.consistency_weight}

    def perturb(self, batch: Batch) -> tf.Tensor:
        """Clean images, then two mixed ones of each, float32 `(3 * batch, ...)`."""
        images, indices = batch["images"], batch["indices"]
        mixed = self.augmentation(
            tf.tile(images, [_NUM_MIXED, 1, 1, 1]),
            seed=self.step_seed(),
            indices=tf.tile(indices, [_NUM_MIXED]),
            counter=tf.repeat(tf.range(_NUM_MIXED), tf.shape(indices)[0]),
        )
        return tf.concat([images, mixed], axis=0)

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        together = self.anchor_pass(perturbed, batch)
        views = tf.split(together.logits, 1 + _NUM_MIXED)
        terms = {
            "cross_entropy": self.cross_entropy(batch["labels"], views[0]),
            "jensen_shannon": jensen_shannon(tf.stack(views, axis=1)),
        }
        features = together.features
        if features is not None:
            features = tf.split(features, 1 + _NUM_MIXED)[0]
        anchor = replace(together, images=batch["images"], logits=views[0], features=features)
        return terms, anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {
            **super().get_config(),
            "consistency_weight": self.consistency_weight,
            "severity": self.augmentation.severity,
            "num_chains": self.augmentation.num_chains,
            "max_depth": self.augmentation.max_depth,
        }
