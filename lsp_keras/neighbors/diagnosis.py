"""What a neighbor table is like; labels are used here only, never to choose neighbors."""

from dataclasses import asdict
from typing import Any

import numpy as np

from lsp_keras.neighbors.contrast import Contrast
from lsp_keras.types import Floats, Integers, NeighborTable

_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_CHUNK_VALUES = 2**25


def diagnose(table: NeighborTable, labels: Integers) -> dict[str, Any]:
    """Label purity, mutual neighbors, hubness and distances of a table.

    Args:
        table: Table of `n` images with `m` neighbors each.
        labels: Labels, int `(n,)`.

    Returns:
        JSON record with the keys `label_purity` (share of neighbors with the anchor's label),
        `chance_purity` (the same for random others), `mutual_share` (share of pairs that are
        neighbors of each other), `hubness_skewness` (of the number of times an image is a
        neighbor), `max_occurrence`, `never_a_neighbor` (share of images),
        `distance_quantiles` of all distances, `zero_distances` (share: duplicates) and
        `contrast`, as `lsp_keras.neighbors.Contrast` holds it.

    References:
        Radovanovic et al., Hubs in Space, JMLR 2010, section 2, for the skewness.
    """
    indices, distances = table.indices, table.distances
    occurrences = np.bincount(indices.ravel(), minlength=len(indices))
    quantiles = np.quantile(distances, _QUANTILES)
    return {
        "num_images": len(indices),
        "num_neighbors": table.num_neighbors,
        "label_purity": float((labels[indices] == labels[:, None]).mean()),
        "chance_purity": _chance_purity(labels),
        "mutual_share": mutual_share(indices),
        "hubness_skewness": _skewness(occurrences),
        "max_occurrence": int(occurrences.max()),
        "never_a_neighbor": float((occurrences == 0).mean()),
        "distance_quantiles": {
            f"{quantile:g}": float(value)
            for quantile, value in zip(_QUANTILES, quantiles, strict=True)
        },
        "zero_distances": float((distances == 0).mean()),
        "contrast": asdict(Contrast.of(distances)),
    }


def mutual_share(indices: Integers) -> float:
    """Share of pairs (image, neighbor) whose neighbor has the image as a neighbor too.

    Args:
        indices: Neighbors of each image, int64 `(n, m)`.
    """
    anchors = np.repeat(np.arange(len(indices)), indices.shape[1])
    forward = anchors * len(indices) + indices.ravel()
    backward = indices.ravel() * len(indices) + anchors
    return float(np.isin(forward, backward).mean())


def knn_accuracy(
    train_features: Floats,
    train_labels: Integers,
    test_features: Floats,
    test_labels: Integers,
    *,
    num_neighbors: int = 200,
    temperature: float = 0.1,
) -> float:
    """Accuracy of the weighted nearest-neighbor classifier that contrastive papers report.

    Each of the k training features with the highest cosine similarity s votes for its label
    with weight exp(s / temperature).

    Args:
        train_features: Features of the training images at any scale, `(n, dimensions)`.
        train_labels: Labels of the training images, int `(n,)`.
        test_features: Features of the test images, `(q, dimensions)`.
        test_labels: Labels of the test images, int `(q,)`.
        num_neighbors: Number k of neighbors that vote, at most n.
        temperature: Temperature of the votes, positive.

    Returns:
        Share of the test labels that win the vote.

    References:
        Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination,
        CVPR 2018, section 3.4.
    """
    train, test = _unit_rows(train_features), _unit_rows(test_features)
    votes_of = np.eye(int(train_labels.max()) + 1, dtype=np.float32)[train_labels]
    num_neighbors = min(num_neighbors, len(train))
    step = max(1, _CHUNK_VALUES // len(train))
    correct = 0
    for start in range(0, len(test), step):
        similarity = test[start : start + step] @ train.T
        nearest = np.argpartition(-similarity, num_neighbors - 1, axis=1)[:, :num_neighbors]
        weights = np.exp((np.take_along_axis(similarity, nearest, axis=1) - 1) / temperature)
        votes = np.einsum("qk,qkc->qc", weights, votes_of[nearest])
        correct += int((votes.argmax(axis=1) == test_labels[start : start + step]).sum())
    return correct / len(test)


def _unit_rows(features: Floats) -> Floats:
    features = features.reshape(len(features), -1)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.where(norms > 0, norms, 1)).astype(np.float32)


def _chance_purity(labels: Integers) -> float:
    counts = np.bincount(labels).astype(float)
    return float((counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1)))


def _skewness(values: Integers) -> float:
    centered = values - values.mean()
    spread = values.std()
    return float((centered**3).mean() / spread**3) if spread > 0 else 0.0
