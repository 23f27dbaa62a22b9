import numpy as np
import pytest

from lsp_keras.neighbors import BatchMix, GroupedOrder, MiningSettings, mine
from lsp_keras.neighbors.batches import nearest_in_batch
from lsp_keras.types import NeighborTable

# Neighbors of image i are i + 1 and i + 2, modulo six.
TABLE = NeighborTable(
    (np.arange(6)[:, None] + np.array([1, 2])) % 6, np.ones((6, 2), np.float32), {}
)


def test_two_batches_by_hand() -> None:
    """(0 1 2): 0 sees both, 1 sees one, 2 none; likewise (3 4 5). Classes: 2 to 1, and alone."""
    labels = np.array([0, 0, 1, 2, 2, 2])
    mix = BatchMix.of(np.arange(6), TABLE, labels, batch_size=3)
    assert mix.neighbors_present == pytest.approx(1.0)
    assert mix.largest_class_share == pytest.approx((2 / 3 + 1) / 2)
    entropy = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert mix.effective_classes == pytest.approx((np.exp(entropy) + 1) / 2)
    assert mix.feature_spread is None


def test_an_incomplete_batch_is_left_out() -> None:
    labels = np.array([0, 1, 0, 1, 0, 1])
    mix = BatchMix.of(np.arange(6), TABLE, labels, batch_size=4)
    assert mix.neighbors_present == pytest.approx((2 + 2 + 1 + 0) / 4)
    assert mix.largest_class_share == 0.5


def test_groups_hold_more_neighbors_and_spread_the_means(clustered: np.ndarray) -> None:
    table = mine(clustered, MiningSettings(index="sklearn"))
    labels = np.arange(len(clustered)) % 10
    random, grouped = (
        BatchMix.of(order, table, labels, 64, clustered)
        for order in (
            np.random.default_rng(0).permutation(len(clustered)),
            GroupedOrder(table.indices, 32, 0)(0),
        )
    )
    assert random.neighbors_present < 0.6
    assert grouped.neighbors_present > 2.0
    assert random.feature_spread == pytest.approx(1.0, abs=0.15)
    assert grouped.feature_spread is not None
    assert grouped.feature_spread > 2.0


def test_distances_within_a_batch_by_hand() -> None:
    found = nearest_in_batch(np.array([[0.0], [1.0], [3.0], [7.0]], np.float16), [0, 2])
    np.testing.assert_allclose(found, [[1, 7], [1, 6], [2, 4], [4, 7]], rtol=1e-6)
