"""Figures of a table against values computed by hand."""

import numpy as np
import pytest

from lsp_keras.neighbors import diagnose, knn_accuracy, mutual_share
from lsp_keras.types import NeighborTable

# 0 and 1 name each other, 2 and 3 name 0 first; image 3 is nobody's neighbor.
INDICES = np.array([[1, 2], [0, 2], [0, 1], [0, 1]])
DISTANCES = np.array([[1, 2], [1, 3], [2, 3], [0, 4]], np.float32)
LABELS = np.array([0, 0, 1, 0])


def test_figures_of_a_small_table() -> None:
    record = diagnose(NeighborTable(INDICES, DISTANCES, {}), LABELS)
    # Same label: 0-1, 1-0, 3-0, 3-1 of 8 pairs.
    assert record["label_purity"] == 4 / 8
    # Of 12 ordered pairs, the 3 * 2 among the images of label 0 agree.
    assert record["chance_purity"] == 6 / 12
    # Both ways: 0-1, 0-2, 1-2, each counted twice, of 8.
    assert record["mutual_share"] == 6 / 8
    assert record["max_occurrence"] == 3
    assert record["never_a_neighbor"] == 1 / 4
    # Occurrences 3, 3, 2, 0: mean 2, variance 6/4, third moment (1 + 1 + 0 - 8) / 4.
    assert record["hubness_skewness"] == pytest.approx(-1.5 / 1.5**1.5)
    assert record["distance_quantiles"]["0.5"] == 2.0
    assert record["zero_distances"] == 1 / 8


def test_mutual_share_of_a_ring_and_of_a_star() -> None:
    assert mutual_share(np.array([[1], [0], [3], [2]])) == 1.0
    assert mutual_share(np.array([[1], [2], [3], [0]])) == 0.0


def test_knn_votes_are_weighted_by_similarity() -> None:
    train = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    labels = np.array([0, 1, 1])
    query = np.array([[5.0, 4.0]], np.float32)
    # Similarities 0.781, 0.625, 0.625: exp(7.81) < 2 exp(6.25) fails, so the nearest one wins,
    # while at a high temperature the majority does.
    assert knn_accuracy(train, labels, query, np.array([0]), num_neighbors=3) == 1.0
    flat = knn_accuracy(train, labels, query, np.array([0]), num_neighbors=3, temperature=10.0)
    assert flat == 0.0


def test_knn_accuracy_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    train, test = generator.normal(size=(2, 60, 4)).astype(np.float32)
    labels = generator.integers(0, 3, (2, 60))
    whole = knn_accuracy(train, labels[0], test, labels[1], num_neighbors=5)
    monkeypatch.setattr("lsp_keras.neighbors.diagnosis._CHUNK_VALUES", 60 * 7)
    assert knn_accuracy(train, labels[0], test, labels[1], num_neighbors=5) == whole
