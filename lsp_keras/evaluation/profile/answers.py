"""What a classifier's logits say of its certainty: margins, confidence, entropy, calibration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.types import Floats, Integers

NUM_BINS = 15
_HISTOGRAM_BINS = 40
# Below this the two most likely classes are within a factor e of each other.
NEAR_ZERO = 1.0

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy in bins of equal width over [0, 1].

    Attributes:
        edges: Edges of the bins, `(bins + 1,)`.
        counts: Number of images in each bin, int `(bins,)`.
        confidence: Mean confidence in each bin, `(bins,)`; 0 where the bin is empty.
        accuracy: Share of right answers in each bin, `(bins,)`.
    """

    edges: Doubles
    counts: Integers
    confidence: Doubles
    accuracy: Doubles

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap of confidence and accuracy over the images.

        References:
            Guo et al., On Calibration of Modern Neural Networks, 2017, Eq. 3.
        """
        gaps = np.abs(self.confidence - self.accuracy)
        return float((self.counts * gaps).sum() / self.counts.sum())

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, bin by bin."""
        columns = (self.edges[:-1], self.edges[1:], self.counts, self.confidence, self.accuracy)
        return {
            "error": self.error,
            "bins": [
                {
                    "from": low,
                    "to": high,
                    "images": count,
                    "confidence": confidence if count else None,
                    "accuracy": accuracy if count else None,
                }
                for low, high, count, confidence, accuracy in zip(
                    *(column.tolist() for column in columns), strict=True
                )
            ],
        }


@dataclass(frozen=True)
class Answers:
    """What a model answers to one set of images.

    Attributes:
        margins: Margins of the label's logit over the largest other one, float64 `(n,)`.
        confidences: Largest probability of each image, float64 `(n,)`.
        entropies: Entropy of the probabilities of each image in nats, float64 `(n,)`.
        losses: Cross-entropy of each image, float64 `(n,)`.
        correct: Whether each prediction is right, bool `(n,)`.
    """

    margins: Doubles
    confidences: Doubles
    entropies: Doubles
    losses: Doubles
    correct: npt.NDArray[np.bool_]

    @property
    def error(self) -> float:
        """Share of images that are misclassified."""
        return 1.0 - float(self.correct.mean())

    @property
    def near_zero(self) -> float:
        """Share of images with a margin of less than one logit to either side."""
        return float((np.abs(self.margins) < NEAR_ZERO).mean())

    @property
    def calibration(self) -> Calibration:
        """Confidence against accuracy."""
        return calibrate(self.confidences, self.correct)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "num_images": len(self.correct),
            "error": self.error,
            "loss": float(self.losses.mean()),
            "margin": {**_summary(self.margins), "share_near_zero": self.near_zero},
            "confidence": _summary(self.confidences),
            "entropy": _summary(self.entropies),
            "calibration": self.calibration.to_dict(),
        }


def answers(logits: Floats, labels: Integers) -> Answers:
    """Margins, confidences, entropies and losses of logits.

    Args:
        logits: Logits, float `(n, classes)`.
        labels: Labels, int `(n,)`.
    """
    values = logits.astype(np.float64)
    rows = np.arange(len(labels))
    others = values.copy()
    others[rows, labels] = -np.inf
    shifted = values - values.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probabilities = np.exp(log_probabilities)
    return Answers(
        margins=values[rows, labels] - others.max(axis=1),
        confidences=probabilities.max(axis=1),
        entropies=-(probabilities * log_probabilities).sum(axis=1),
        losses=-log_probabilities[rows, labels],
        correct=values.argmax(axis=1) == labels,
    )


def calibrate(
    confidences: Doubles, correct: npt.NDArray[np.bool_], num_bins: int = NUM_BINS
) -> Calibration:
    """Sorts images into bins `(low, high]` by confidence.

    Args:
        confidences: Confidence in each prediction, `(n,)` in [0, 1].
        correct: Whether each prediction is right, `(n,)`.
        num_bins: Bins of equal width.
    """
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    places = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, num_bins - 1)
    counts = np.bincount(places, minlength=num_bins)
    sums = (
        np.bincount(places, weights=weights, minlength=num_bins)
        for weights in (confidences, correct.astype(np.float64))
    )
    confidence, accuracy = (total / np.maximum(counts, 1) for total in sums)
    return Calibration(edges, counts, confidence, accuracy)


def _summary(values: Doubles) -> dict[str, Any]:
    counts, edges = np.histogram(values, bins=_HISTOGRAM_BINS)
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
