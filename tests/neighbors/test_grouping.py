import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_keras.neighbors import GroupedOrder, MiningSettings, MutualNeighbors, mine
from lsp_keras.neighbors.grouping import grow

# 0-1, 1-2 and 3-4 name each other; 5 names others and is named by nobody.
CHAIN = np.array([[1, 5], [0, 2], [1, 0], [4, 2], [3, 0], [3, 4]])


def test_mutual_neighbors_by_hand() -> None:
    graph = MutualNeighbors.of(CHAIN)
    np.testing.assert_array_equal(graph.starts, [0, 1, 3, 4, 5, 6, 6])
    np.testing.assert_array_equal(graph.ends, [1, 0, 2, 1, 4, 3])


def _touches(group: list[int], graph: MutualNeighbors) -> set[int]:
    return {
        int(other)
        for image in group
        for other in graph.ends[graph.starts[image] : graph.starts[image + 1]]
    }


@pytest.mark.parametrize("epoch", range(6))
def test_groups_of_the_chain_stay_together(epoch: int) -> None:
    order = GroupedOrder(CHAIN, group_size=3, seed=0)(epoch).tolist()
    assert sorted(order) == list(range(6))
    together = sorted(order.index(image) for image in (0, 1, 2))
    assert together[2] - together[0] == 2
    assert abs(order.index(3) - order.index(4)) == 1


@settings(max_examples=50)
@given(
    count=st.integers(5, 60),
    m=st.integers(1, 4),
    group_size=st.integers(1, 20),
    seed=st.integers(0, 1000),
    epoch=st.integers(0, 1000),
)
def test_every_epoch_is_a_partition_into_grown_groups(
    count: int, m: int, group_size: int, seed: int, epoch: int
) -> None:
    generator = np.random.default_rng(seed)
    indices = np.stack([generator.permutation(count - 1)[:m] for _ in range(count)])
    indices += indices >= np.arange(count)[:, None]
    grouped = GroupedOrder(indices, group_size, seed)
    np.testing.assert_array_equal(np.sort(grouped(epoch)), np.arange(count))
    grown, firsts = grow(grouped.mutual, generator.permutation(count), group_size)
    np.testing.assert_array_equal(np.sort(grown), np.arange(count))
    taken: set[int] = set()
    for group in (part.tolist() for part in np.split(grown, firsts[1:])):
        assert len(group) <= group_size
        for place, image in enumerate(group[1:], start=1):
            assert image in _touches(group[:place], grouped.mutual)
        taken.update(group)
        if len(group) < group_size:
            assert _touches(group, grouped.mutual) <= taken


def test_is_a_function_of_table_seed_and_epoch_alone(clustered: np.ndarray) -> None:
    indices = mine(clustered, MiningSettings(index="sklearn")).indices
    first, again = GroupedOrder(indices, 32, 5), GroupedOrder(indices, 32, 5)
    later = [first(epoch) for epoch in (0, 1, 2)]
    np.testing.assert_array_equal(again(2), later[2])
    np.testing.assert_array_equal(first(0), later[0])
    assert (later[0] != later[1]).any()
    assert (GroupedOrder(indices, 32, 6)(0) != later[0]).any()


def test_threads_see_one_order(clustered: np.ndarray) -> None:
    grouped = GroupedOrder(mine(clustered, MiningSettings(index="sklearn")).indices, 32, 0)
    found: list[tuple[int, np.ndarray]] = []
    threads = [
        threading.Thread(target=lambda epoch=epoch: found.append((epoch, grouped(epoch))))
        for epoch in [0, 1] * 8
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for epoch, order in found:
        np.testing.assert_array_equal(order, GroupedOrder(grouped.indices, 32, 0)(epoch))
