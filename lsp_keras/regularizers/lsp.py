"""Local Structure Preserving: keep each image's distances to its neighbors in logit space."""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from lsp_keras.losses.lsp import lsp_loss
from lsp_keras.ops import divergences
from lsp_keras.regularizers._base import Batch, Regularizer, Step
from lsp_keras.regularizers._passes import separate_pass
from lsp_keras.validation import InputError, check_choice, check_positive

__all__ = ["LSP"]

JOINT = "joint"


class LSP(Regularizer):
    """Adds `weight * lsp_loss`: LSP with the method `standard`, LSP+ with `at`.

    The anchor's logits are those the method computed; the neighbors are clean. Batches need
    `neighbor_images` `(batch, m, height, width, channels)` and `neighbor_distances` `(batch, m)`.

    How neighbors pass BatchNorm, `neighbor_batch_norm`:

    - `"separate"`: a pass of their own, normalized by their own statistics; the moving averages
      are those of the method's images alone. With weight 0 training is exactly the plain method.
    - `"separate_update"`: the same, and the moving averages follow the neighbors too.
    - `"joint"`: one batch with the method's images, which then also see the neighbors'
      statistics: a change of its own, even with weight 0.
    - `"inference"`: by the moving averages.

    Args:
        weight: Lambda of Eq. 7 and 11; 0 only measures.
        divergence: As in `lsp_keras.losses.lsp.lsp_loss`.
        neighbor_batch_norm: `"separate"` (default), `"separate_update"`, `"joint"` or
            `"inference"`.
        neighbor_gradient: Whether the gradient flows into the neighbors' logits too.
        normalize_logits: Whether logits are scaled to length one before their distances.
        name: The term's name in the logs.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> LSP(weight=0.5).term_weights(0)
        {'lsp': 0.5}

    References:
        Local Structure Preserving, Eq. 7 and 11.

    Differs from the reference:
        The paper does not say how neighbors pass BatchNorm.
    """

    def __init__(
        self,
        *,
        weight: float = 1.0,
        divergence: str = "l2",
        neighbor_batch_norm: str = "separate",
        neighbor_gradient: bool = True,
        normalize_logits: bool = False,
        name: str = "lsp",
    ) -> None:
        super().__init__(name=name)
        check_positive("weight", weight, allow_zero=True)
        divergences.get(divergence)
        check_choice("neighbor_batch_norm", neighbor_batch_norm, [*_PASSES, JOINT])
        self.weight = weight
        self.divergence = divergence
        self.neighbor_batch_norm = neighbor_batch_norm
        self.neighbor_gradient = neighbor_gradient
        self.normalize_logits = normalize_logits

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        """See `Regularizer.term_weights`."""
        return {self.name: self.weight}

    def riders(self, batch: Batch) -> tf.Tensor | None:
        """See `Regularizer.riders`."""
        return _flat_neighbors(batch) if self.neighbor_batch_norm == JOINT else None

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        """See `Regularizer.terms`."""
        neighbor_logits = self._neighbor_logits(step)
        loss = lsp_loss(
            step.batch["neighbor_distances"],
            step.anchor.logits,
            neighbor_logits,
            divergence=self.divergence,
            normalize_logits=self.normalize_logits,
        )
        return {self.name: loss}

    def _neighbor_logits(self, step: Step) -> tf.Tensor:
        """float32 `(batch, m, classes)`."""
        if self.neighbor_batch_norm == JOINT:
            logits = step.anchor.riders[self.name]
        else:
            images = _flat_neighbors(step.batch)
            logits = _PASSES[self.neighbor_batch_norm](step.classifier, images)
        if not self.neighbor_gradient:
            logits = tf.stop_gradient(logits)
        rows = tf.shape(step.batch["neighbor_distances"])
        return tf.reshape(logits, [rows[0], rows[1], logits.shape[-1]])


def _flat_neighbors(batch: Batch) -> tf.Tensor:
    """`(batch * m, height, width, channels)`."""
    if "neighbor_images" not in batch or "neighbor_distances" not in batch:
        raise InputError(
            "LSP needs the neighbors of each image: batches with `neighbor_images` and "
            f"`neighbor_distances`. Received: {', '.join(sorted(batch))}. "
            "Pass `neighbors=` to `lsp_keras.datasets.make_batches`."
        )
    images = batch["neighbor_images"]
    return tf.reshape(images, [-1, *images.shape[2:]])


def _separate_update(classifier: keras.Model, images: tf.Tensor) -> tf.Tensor:
    return classifier(images, training=True)


def _inference(classifier: keras.Model, images: tf.Tensor) -> tf.Tensor:
    return classifier(images, training=False)


_PASSES: dict[str, Callable[[keras.Model, tf.Tensor], tf.Tensor]] = {
    "separate": separate_pass,
    "separate_update": _separate_update,
    "inference": _inference,
}
