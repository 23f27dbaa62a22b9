"""Mining against hand-computed neighbors, slow NumPy and scikit-learn."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from lsp_keras.neighbors import MiningSettings, mine, random_neighbors, search
from lsp_keras.validation import InputError

INDEXES = ["scann_exact", "scann_tree", "sklearn"]


def settings(**changes: Any) -> MiningSettings:
    return dataclasses.replace(MiningSettings(normalize=False), **changes)


def needs(index: str) -> None:
    if index.startswith("scann") and search.load_scann() is None:
        pytest.skip("ScaNN cannot be imported here")


def exact_distances(features: np.ndarray) -> np.ndarray:
    """Sorted distances to all others, in float64."""
    features = features.astype(np.float64)
    difference = features[:, None] - features[None]
    distances = np.sqrt((difference**2).sum(-1))
    np.fill_diagonal(distances, np.inf)
    return distances


@pytest.mark.parametrize("index", INDEXES)
def test_line_of_points_has_the_neighbors_found_by_hand(index: str) -> None:
    needs(index)
    points = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32)
    table = mine(points, settings(num_neighbors=2, index=index))
    assert table.indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert table.distances.tolist() == [[1, 3], [1, 2], [2, 3], [4, 6]]


@pytest.mark.parametrize("index", ["scann_exact", "sklearn"])
def test_exact_search_equals_slow_numpy_up_to_ties(index: str, clustered: np.ndarray) -> None:
    needs(index)
    table = mine(clustered, settings(index=index))
    every = exact_distances(clustered)
    true = np.sort(every, axis=1)[:, :8]
    np.testing.assert_allclose(table.distances, true, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        np.take_along_axis(every, table.indices, axis=1), true, rtol=1e-5, atol=1e-6
    )
    assert table.provenance["recall"]["value"] == 1.0


@pytest.mark.parametrize("normalize", [False, True])
def test_scann_exact_equals_scikit_learn_index_by_index(
    normalize: bool, clustered: np.ndarray
) -> None:
    needs("scann_exact")
    both = [
        mine(clustered, settings(index=index, normalize=normalize))
        for index in ("scann_exact", "sklearn")
    ]
    np.testing.assert_array_equal(both[0].distances, both[1].distances)
    ties = np.zeros(both[0].indices.shape, bool)
    equal = both[0].distances[:, 1:] == both[0].distances[:, :-1]
    ties[:, 1:] |= equal
    ties[:, :-1] |= equal
    # The last column may tie with the neighbor that was cut off.
    ties[:, -1] = True
    same = both[0].indices == both[1].indices
    assert same[~ties].all()
    assert same.mean() > 0.999


def test_tree_reaches_the_recall_that_was_asked_for(clustered: np.ndarray) -> None:
    needs("scann_tree")
    table = mine(clustered, settings(index="scann_tree"))
    true = np.sort(exact_distances(clustered), axis=1)[:, 7:8]
    recall = (table.distances <= true * (1 + 1e-6)).mean()
    assert recall >= 0.99
    assert table.provenance["recall"]["value"] == pytest.approx(recall, abs=0.005)


def test_tree_searches_harder_for_a_higher_recall() -> None:
    needs("scann_tree")
    noise = np.random.default_rng(2).normal(size=(3000, 24)).astype(np.float32)
    efforts = [
        mine(noise, settings(index="scann_tree", min_recall=recall)).provenance["index"]["effort"]
        for recall in (0.2, 0.99)
    ]
    assert efforts[0] < efforts[1]


def test_rows_that_an_index_cannot_fill_are_searched_exactly(
    clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_blind(features: np.ndarray, count: int) -> search.Index:
        exact = search.sklearn_exact(features, count)

        def find(queries: np.ndarray, count: int, effort: int) -> np.ndarray:
            found = exact.search(queries, count, effort)
            found[::2, 5:] = -1
            return found

        return search.Index("half_blind", find)

    expected = mine(clustered[:50], settings(index="sklearn"))
    monkeypatch.setitem(search.INDEXES, "sklearn", half_blind)
    found = mine(clustered[:50], settings(index="sklearn"))
    np.testing.assert_array_equal(found.indices, expected.indices)


@pytest.mark.parametrize("index", INDEXES)
def test_duplicates_stay_neighbors_and_no_image_is_its_own(index: str) -> None:
    needs(index)
    points = np.repeat(np.arange(4, dtype=np.float32)[:, None], 12, axis=0)
    table = mine(points, settings(index=index))
    assert (table.distances == 0).all()
    assert not (table.indices == np.arange(48)[:, None]).any()
    assert (table.indices // 12 == np.arange(48)[:, None] // 12).all()
    assert all(len(set(row)) == 8 for row in table.indices.tolist())


def test_normalizing_ignores_lengths() -> None:
    points = np.array([[1, 0], [50, 1], [0, 2], [1, 30]], np.float32)
    table = mine(points, MiningSettings(num_neighbors=1, index="sklearn"))
    assert table.indices[:, 0].tolist() == [1, 0, 3, 2]
    assert table.distances[2, 0] == pytest.approx(np.sqrt(2 - 2 * 30 / np.sqrt(901)), rel=1e-4)


def test_encoder_sees_scaled_chunks_and_gives_the_features(pictures: np.ndarray) -> None:
    seen = []

    def encode(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        assert images.dtype == np.float32
        assert images.max() <= 1
        return images.mean(axis=(1, 2))

    table = mine(pictures, settings(index="sklearn"), encode=encode, batch_size=16)
    direct = mine((pictures / np.float32(255)).mean(axis=(1, 2)), settings(index="sklearn"))
    assert seen == [16, 16, 8]
    np.testing.assert_array_equal(table.indices, direct.indices)


def test_embeddings_replace_the_encoder(pictures: np.ndarray) -> None:
    embeddings = np.arange(40, dtype=np.float32)[:, None] ** 2
    table = mine(pictures, settings(num_neighbors=1, index="sklearn"), embeddings=embeddings)
    assert table.indices[:3, 0].tolist() == [1, 0, 1]
    with pytest.raises(InputError, match=r"one row of embeddings for each image: 40.*39"):
        mine(pictures, settings(), embeddings=embeddings[:39])


@pytest.mark.parametrize("miner", [mine, random_neighbors])
def test_same_seed_gives_the_same_table(miner, clustered: np.ndarray) -> None:
    first, second = (miner(clustered[:400], settings(seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.distances, second.distances)
    assert first.provenance == second.provenance


def test_random_neighbors_are_distinct_others_drawn_evenly() -> None:
    points = np.arange(6, dtype=np.float32)[:, None]
    counts = np.zeros((6, 6))
    for seed in range(300):
        table = random_neighbors(points, settings(num_neighbors=3, seed=seed))
        assert (np.diff(table.distances, axis=1) >= 0).all()
        np.testing.assert_array_equal(
            table.distances, np.abs(table.indices - np.arange(6)[:, None])
        )
        np.add.at(counts, (np.arange(6)[:, None], table.indices), 1)
    assert (counts.diagonal() == 0).all()
    # Each of the 5 others is drawn with probability 3/5: 180 +- 8.5 times.
    assert np.abs(counts[~np.eye(6, dtype=bool)] - 180).max() < 4 * 8.5


def test_without_scann_auto_searches_with_scikit_learn_and_says_so(
    clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lsp_keras.neighbors.mining.load_scann", lambda: None)
    table = mine(clustered[:100], settings())
    assert table.provenance["index"]["name"] == "sklearn"
    assert "falls back to scikit-learn" in caplog.text


def test_asking_for_scann_where_there_is_none_is_refused(
    clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_keras.neighbors.search.load_scann", lambda: None)
    with pytest.raises(InputError, match="needs ScaNN"):
        mine(clustered[:100], settings(index="scann_exact"))


def test_auto_is_exact_below_the_threshold(clustered: np.ndarray) -> None:
    needs("scann_exact")
    names = [
        mine(clustered[:1000], settings(exact_below=limit)).provenance["index"]["name"]
        for limit in (1001, 1000)
    ]
    assert names == ["scann_exact", "scann_tree"]


def test_progress_counts_to_the_end(pictures: np.ndarray) -> None:
    reports = []
    mine(
        pictures,
        settings(index="sklearn"),
        batch_size=25,
        progress=lambda *report: reports.append(report),
    )
    assert reports == [("encode", 25, 40), ("encode", 40, 40), ("search", 40, 40)]


def noise(shape=(600, 16), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def with_outlier(size: float) -> np.ndarray:
    rows = noise()
    rows[7] *= size
    return rows


# Neighbors, and features whose distances float32 dot products cannot tell.
SCALES = {
    "far from zero": 1000 + 0.01 * noise(),
    "very far, in float64": 1e7 + 0.01 * noise(),
    "tiny": 1e-6 * noise(),
    "huge": 1e12 * noise(),
    "one outlier": with_outlier(1e6),
    "dimensions of unequal size": noise() * np.logspace(-3, 3, 16),
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("name", SCALES)
def test_features_of_any_scale_get_their_true_neighbors(name: str, index: str) -> None:
    needs(index)
    features = SCALES[name]
    if name != "very far, in float64":
        features = features.astype(np.float32)
    table = mine(np.zeros((600, 2)), settings(index=index), embeddings=features)
    every = exact_distances(features)
    true = np.sort(every, axis=1)[:, :8]
    found = np.take_along_axis(every, table.indices, axis=1)
    assert (found <= true[:, -1:] * (1 + 1e-5)).mean() > 0.99
    # The distances are those of the features as they were given.
    np.testing.assert_allclose(table.distances, found, rtol=1e-3)


@pytest.mark.parametrize("index", ["scann_exact", "sklearn"])
def test_shift_and_scale_change_no_neighbor(index: str) -> None:
    needs(index)
    rows = noise((300, 8), seed=4)
    plain = mine(rows, settings(index=index), embeddings=rows)
    moved = mine(rows, settings(index=index), embeddings=rows * 2.0**-30 + 1e-3)
    assert (plain.indices == moved.indices).mean() > 0.999
    np.testing.assert_allclose(moved.distances, plain.distances * 2.0**-30, rtol=1e-4)


def test_an_index_below_the_recall_gives_way_to_exact_search(
    clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def random_rows(features: np.ndarray, count: int) -> search.Index:
        draws = np.random.default_rng(0)
        return search.Index(
            "poor", lambda queries, count, effort: draws.integers(0, 400, (len(queries), count))
        )

    monkeypatch.setitem(search.INDEXES, "scann_exact", random_rows)
    table = mine(clustered[:400], settings(index="scann_exact"))
    expected = mine(clustered[:400], settings(index="sklearn"))
    np.testing.assert_array_equal(table.distances, expected.distances)
    assert table.provenance["index"]["name"] == "sklearn"
    assert "searching exactly instead" in caplog.text


def test_mining_stops_where_even_exact_search_is_poor(
    clustered: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsp_keras.neighbors.mining._recall", lambda distances, radius: 0.5)
    with pytest.raises(InputError, match=r"recall of 0.5000, below the 0.9900 asked for, even by"):
        mine(clustered[:100], settings(index="sklearn"))


@pytest.mark.parametrize(
    ("features", "changes", "message"),
    [
        (np.eye(8, dtype=np.float32), {}, "8 neighbors need more than 8 images. Received: 8"),
        (np.full((20, 2), np.nan), {}, "NaN or infinity"),
        (np.ones((20, 2)), {}, "the encoder has collapsed"),
        (np.eye(20), {"index": "scann_exac"}, "Did you mean"),
        (np.eye(20), {"num_neighbors": 0}, "at least 1"),
        (np.eye(20), {"min_recall": 2}, "in \\[0, 1\\]"),
    ],
)
def test_wrong_input_is_refused(features: np.ndarray, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mine(features, settings(**changes))
