"""What `mixup` and `cutmix` share: images that have two labels, each with its share."""

from dataclasses import replace
from typing import ClassVar, NamedTuple

import keras
import tensorflow as tf

from lsp_keras.methods._trainer import RobustTrainer, Terms
from lsp_keras.regularizers import Anchor, Batch


class MixedImages(NamedTuple):
    """A batch whose images are mixed with one another.

    Attributes:
        images: Images, float32 `(batch, height, width, channels)`.
        partner_labels: Labels of what was mixed in, int64 `(batch,)`.
        coefficient: Share of the image itself, a float32 scalar.
    """

    images: tf.Tensor
    partner_labels: tf.Tensor
    coefficient: tf.Tensor


class MixingTrainer(RobustTrainer):
    """Minimizes the cross-entropies of both labels of mixed images, weighted by their shares.

    Subclasses write `mix`. Mixed images have no neighbors, so regularizers start from the clean
    images: a pass of their own in training mode, which leaves BatchNorm's moving averages alone
    and is only made where there are regularizers. Metrics compare the predictions for the mixed
    images with the images' own labels, so that accuracy in training is low by design.
    """

    smooths_labels: ClassVar[bool] = True
    uses_whole_batch: ClassVar[bool] = True

    def mix(self, batch: Batch) -> MixedImages:
        """The batch's images, mixed by draws that belong to the step."""
        raise NotImplementedError(f"{type(self).__name__} must write `mix`.")

    def perturb(self, batch: Batch) -> MixedImages:
        return self.mix(batch)

    def compute_terms(self, batch: Batch, perturbed: MixedImages) -> tuple[Terms, Anchor]:
        images, partner_labels, coefficient = perturbed
        logits = self.forward(images).logits
        own = self.cross_entropy(batch["labels"], logits)
        partners = self.cross_entropy(partner_labels, logits)
        terms = {"cross_entropy": coefficient * own + (1.0 - coefficient) * partners}
        return terms, self._anchor(batch, images, logits)

    def _anchor(self, batch: Batch, images: tf.Tensor, logits: tf.Tensor) -> Anchor:
        if not self.regularizers:
            return Anchor(images, logits)
        # Assignments inside the scope, here those of the moving averages, are dropped with it.
        with keras.StatelessScope():
            anchor = self.anchor_pass(batch["images"], batch)
        return replace(anchor, metric_logits=logits)
