"""Local Structure Preserving: keep each image's distances to its neighbors in logit space."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from lsp_keras.choices import DivergenceChoice, NeighborBatchNorm
from lsp_keras.losses._kernel import kernel_loss
from lsp_keras.losses.lsp import lsp_loss
from lsp_keras.ops import divergences
from lsp_keras.ops.distances import unit_length
from lsp_keras.regularizers._base import FEATURES, NEIGHBORS, Batch, Outputs, Regularizer, Step
from lsp_keras.regularizers._fresh import flat_neighbors, missing_entries, sizes_of
from lsp_keras.regularizers._in_batch import (
    CONTROLS,
    RANDOM,
    SHUFFLED,
    UNIFORM,
    batch_distances,
    half_turn,
    nearest,
)
from lsp_keras.regularizers._passes import PASSES, feature_model
from lsp_keras.validation import InputError, check_choice, check_positive

__all__ = ["LSP"]

FRESH, BATCH = "fresh", "batch"
SHARES, KERNEL, RANKS = "shares", "kernel", "ranks"
LOGITS = "logits"
JOINT = "joint"


class LSP(Regularizer):
    """Adds `weight * lsp_loss`: LSP with the method `standard`, LSP+ with `at`.

    The anchor's logits are those the method computed; the neighbors are clean. `neighbors` says
    where they come from:

    - `"fresh"`, the paper's: batches bring `neighbor_images`
      `(batch, m, height, width, channels)` and `neighbor_distances` `(batch, m)`, so that a step
      passes m + 1 times as many images.
    - `"batch"`: the nearest of the images that are in the batch anyway, by the distances of its
      `features` `(batch, dimensions)`. Their logits are those of the method's own clean pass
      where it has one; `at` and its like make one more pass. Under `tf.distribute` the batch is
      the replica's share.

    What the logits' distances are held to, `target`:

    - `"shares"`: each neighbor's share of the distances, Eq. 2.
    - `"ranks"`: the same over the neighbors at ranks 1, 2, 4, 8, ..., so that near and far ones
      are among them.
    - `"kernel"`: soft neighborhoods over all images of the batch, as in stochastic neighbor
      embedding, compared by KL; see `lsp_keras.losses._kernel.kernel_loss`.

    How fresh neighbors, or the extra clean pass, pass BatchNorm, `neighbor_batch_norm`:

    - `"separate"`: a pass of their own, normalized by their own statistics; the moving averages
      are those of the method's images alone. With weight 0 training is exactly the plain method.
    - `"separate_update"`: the same, and the moving averages follow the neighbors too.
    - `"joint"`: one batch with the method's images, which then also see the neighbors'
      statistics: a change of its own, even with weight 0. For fresh neighbors.
    - `"inference"`: by the moving averages.

    Controls that leave out one thing each, `control`:

    - `"uniform"`: every neighbor has an equal share.
    - `"shuffled"`: another image's neighbors, with their shares.
    - `"random"`: the batch's whole structure dealt to other images of it at random.

    Args:
        weight: Weight of the term, lambda of Eq. 7 and 11; 0 only measures.
        neighbors: Origin of the neighbors: `"fresh"` ones that batches bring, as in the paper, or
            the nearest images of the `"batch"`.
        num_neighbors: Number of neighbors in the batch, m; fresh ones are as many as come.
        target: Target of the logits' distances: `"shares"` of the neighbors' distances, the same at
            `"ranks"` 1, 2, 4, 8, ..., or the soft neighborhoods of a `"kernel"`, which needs
            neighbors in the batch.
        perplexity: Effective number of neighbors of `"kernel"`.
        layer: Outputs whose distances are compared: `"logits"`, or the `"features"` they are made
            of.
        control: Control that leaves one thing out: `"uniform"` shares, `"shuffled"` neighbors, or
            the whole structure dealt to `"random"` images.
        divergence: Divergence D(P, Q): its name, or a mapping of its name and its arguments;
            `"kernel"` always takes KL.
        neighbor_batch_norm: Statistics by which BatchNorm normalizes the neighbors: `"separate"`,
            their own; `"separate_update"`, their own, which the moving averages follow; `"joint"`,
            those of one batch with the method's images; or `"inference"`, the moving averages.
        neighbor_gradient: Whether the gradient flows into the neighbors' logits too.
        normalize_logits: Whether logits are scaled to length one before their distances.
        name: Name of the term in the logs.

    Raises:
        InputError: A value is out of its range, or two contradict each other.

    Example:
        >>> LSP(weight=0.5).term_weights(0)
        {'lsp': 0.5}

    References:
        Local Structure Preserving, Eq. 7 and 11.

    Differs from the reference:
        The paper does not say how neighbors pass BatchNorm, and knows fresh neighbors and
        `"shares"` only.
    """

    def __init__(
        self,
        *,
        weight: float = 1.0,
        neighbors: Literal["fresh", "batch"] = "fresh",
        num_neighbors: int = 8,
        target: Literal["shares", "ranks", "kernel"] = "shares",
        perplexity: float = 8.0,
        layer: Literal["logits", "features"] = "logits",
        control: Literal["none", "uniform", "shuffled", "random"] = "none",
        divergence: DivergenceChoice = "l2",
        neighbor_batch_norm: NeighborBatchNorm = "separate",
        neighbor_gradient: bool = True,
        normalize_logits: bool = False,
        name: str = "lsp",
    ) -> None:
        super().__init__(name=name)
        check_positive("weight", weight, allow_zero=True)
        check_positive("num_neighbors", num_neighbors)
        divergences.get(divergence)
        self.weight = weight
        self.neighbors = check_choice("neighbors", neighbors, [FRESH, BATCH])
        self.num_neighbors = num_neighbors
        self.target = check_choice("target", target, [SHARES, RANKS, KERNEL])
        self.perplexity = perplexity
        self.layer = check_choice("layer", layer, [LOGITS, FEATURES])
        self.control = check_choice("control", control, CONTROLS)
        self.divergence = divergence
        self.neighbor_batch_norm = check_choice(
            "neighbor_batch_norm", neighbor_batch_norm, get_args(NeighborBatchNorm)
        )
        self.neighbor_gradient = neighbor_gradient
        self.normalize_logits = normalize_logits
        self.uses_features = layer == FEATURES
        self._check_together()

    @property
    def needs(self) -> frozenset[str]:
        return frozenset([NEIGHBORS if self.neighbors == FRESH else FEATURES])

    @property
    def uses_whole_batch(self) -> bool:
        """Whether neighbors, or those that a control deals out, are of other images in it."""
        return self.neighbors != FRESH or self.control == SHUFFLED

    def positions(self, num_others: int) -> list[int]:
        """Places of the neighbors in an image's order of others, nearest first, from 0.

        Args:
            num_others: Images that there are to choose from.
        """
        if self.target == RANKS:
            places = [2**power - 1 for power in range(self.num_neighbors)]
        else:
            places = list(range(self.num_neighbors))
        return [place for place in places if place < num_others]

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        return {self.name: self.weight}

    def check(self, classifier: keras.Model) -> None:
        if self.uses_features:
            feature_model(classifier)

    def riders(self, batch: Batch) -> tf.Tensor | None:
        return flat_neighbors(batch) if self.neighbor_batch_norm == JOINT else None

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        anchors = step.anchor.features if self.uses_features else step.anchor.logits
        found = self._in_batch if self.neighbors == BATCH else self._fresh
        return {self.name: found(step, anchors)}

    def _in_batch(self, step: Step, anchors: tf.Tensor) -> tf.Tensor:
        if "features" not in step.batch:
            raise missing_entries(step.batch, "features", "features")
        clean = step.clean or self._pass(step, step.batch["images"])
        others = self._stopped(clean)
        distances = batch_distances(step.batch["features"], self.control, step.seed)
        if self.target == KERNEL:
            return self._kernel(distances, anchors, others)
        # Less the image itself and, in a control, the one whose place it takes.
        size = distances.shape[0]
        columns, distances = nearest(distances, self.positions(2**62 if size is None else size - 2))
        return self._loss(distances, anchors, tf.gather(others, columns))

    def _fresh(self, step: Step, anchors: tf.Tensor) -> tf.Tensor:
        images = flat_neighbors(step.batch)
        distances = step.batch["neighbor_distances"]
        if self.neighbor_batch_norm == JOINT:
            found = Outputs(step.anchor.riders[self.name])
        else:
            found = self._pass(step, images)
        others = self._stopped(found)
        others = tf.reshape(others, [*sizes_of(distances), others.shape[-1]])
        if self.control == SHUFFLED:
            others, distances = half_turn(others), half_turn(distances)
        return self._loss(distances, anchors, others)

    def _pass(self, step: Step, images: tf.Tensor) -> Outputs:
        model = feature_model(step.classifier) if self.uses_features else step.classifier
        return PASSES[self.neighbor_batch_norm](model, images)

    def _stopped(self, found: Outputs) -> tf.Tensor:
        """What is compared, without a gradient where none shall flow."""
        values: Any = found.features if self.uses_features else found.logits
        return values if self.neighbor_gradient else tf.stop_gradient(values)

    def _loss(self, distances: tf.Tensor, anchors: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        return lsp_loss(
            tf.ones_like(distances) if self.control == UNIFORM else distances,
            anchors,
            others,
            divergence=self.divergence,
            normalize_logits=self.normalize_logits,
        )

    def _kernel(self, distances: tf.Tensor, anchors: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        if self.normalize_logits:
            anchors, others = unit_length(anchors), unit_length(others)
        return kernel_loss(
            distances,
            anchors,
            others,
            perplexity=self.perplexity,
            uniform=self.control == UNIFORM,
        )

    def _check_together(self) -> None:
        if self.perplexity <= 1:
            raise InputError(f"`perplexity` must be more than 1. Received: {self.perplexity}.")
        if self.neighbors == FRESH and self.target == KERNEL:
            raise InputError(
                "`target='kernel'` compares all images of a batch: it needs `neighbors='batch'`."
            )
        if self.neighbors == FRESH and self.control == RANDOM:
            raise InputError(
                "Random fresh neighbors come with a table of random images (`--space global`). "
                "`control='random'` is for `neighbors='batch'`."
            )
        if self.neighbor_batch_norm == JOINT and (self.neighbors == BATCH or self.uses_features):
            raise InputError(
                "`neighbor_batch_norm='joint'` is for the logits of fresh neighbors; neighbors "
                "in the batch are in it already."
            )
