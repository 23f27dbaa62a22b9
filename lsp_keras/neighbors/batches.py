"""What the batches of an order are like: which neighbors they hold, and how mixed they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lsp_keras.ops.distances import distances_within
from lsp_keras.types import Floats, Integers, NeighborTable


@dataclass(frozen=True)
class BatchMix:
    """Means over the whole batches of one epoch.

    Attributes:
        neighbors_present: Number of an image's neighbors in the table that are in its batch.
        largest_class_share: Share of a batch's most frequent class.
        effective_classes: Exponential of the entropy of a batch's classes.
        feature_spread: Deviation of the batches' mean features, relative to that of batches of
            independent images: what BatchNorm's statistics see. `None` without features.
    """

    neighbors_present: float
    largest_class_share: float
    effective_classes: float
    feature_spread: float | None

    @classmethod
    def of(
        cls,
        order: Integers,
        table: NeighborTable,
        labels: Integers,
        batch_size: int,
        features: npt.NDArray[np.floating] | None = None,
    ) -> "BatchMix":
        """That of an order.

        Args:
            order: Order of the images in the epoch, int64 `(n,)`.
            table: Neighbors of all images.
            labels: Labels, int `(n,)`.
            batch_size: Images of a batch; an incomplete last one is left out.
            features: Features of all images, float `(n, dimensions)`.
        """
        rows = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
        shares = _class_shares(labels[rows], int(labels.max()) + 1)
        spread = None if features is None else _spread(features, rows)
        return cls(
            neighbors_present=_present(rows, table.indices),
            largest_class_share=float(shares.max(axis=1).mean()),
            effective_classes=float(np.exp(_entropies(shares)).mean()),
            feature_spread=spread,
        )


def nearest_in_batch(features: npt.NDArray[np.floating], places: Sequence[int]) -> Floats:
    """Distances within one batch, as the in-batch form of LSP sees them.

    Args:
        features: Features of the batch, float `(batch, dimensions)`.
        places: Places in each image's order of the others, 0 for the nearest.

    Returns:
        float32 `(batch, len(places))`.
    """
    distances = distances_within(tf.constant(features)).numpy()
    nearest: Floats = np.sort(distances, axis=1)[:, list(places)]
    return nearest


def _present(rows: Integers, indices: Integers) -> float:
    batch_of = np.full(len(indices), -1)
    batch_of[rows] = np.arange(len(rows))[:, None]
    together = batch_of[indices[rows]] == np.arange(len(rows))[:, None, None]
    return float(together.sum(axis=2).mean())


def _class_shares(labels: Integers, num_classes: int) -> Floats:
    """`(batches, classes)`."""
    counts = np.zeros((len(labels), num_classes), np.float32)
    np.add.at(counts, (np.arange(len(labels))[:, None], labels), 1.0)
    return counts / labels.shape[1]


def _entropies(shares: Floats) -> Floats:
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    return -(shares * logarithms).sum(axis=1)


def _spread(features: npt.NDArray[np.floating], rows: Integers) -> float:
    means = np.stack([features[batch].astype(np.float32).mean(axis=0) for batch in rows])
    images = features[np.sort(rows.ravel())[:: max(1, rows.size // 5000)]].astype(np.float32)
    expected = images.var(axis=0).sum() / rows.shape[1]
    return float(np.sqrt(means.var(axis=0).sum() / expected)) if expected > 0 else 1.0
