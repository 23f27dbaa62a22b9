"""Nearest-neighbor indexes behind one interface: ScaNN exact, ScaNN tree, scikit-learn."""

import contextlib
import functools
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from lsp_keras.types import Floats, Integers
from lsp_keras.validation import InputError

# Reordering keeps this many times the neighbors that are asked for.
_REORDER_FACTOR = 8
_FIRST_LEAVES = 8
_TRAINING_ROWS = 50_000
# ScaNN needs some vectors for each of the 16 clusters of a block.
_FEWEST_FOR_TREE = 256


@dataclass(frozen=True)
class Index:
    """Features prepared for search.

    Attributes:
        name: Key in `INDEXES`.
        search: Function of `(queries (q, d), count, effort)` that gives row numbers `(q, count)`,
            nearest first; -1 where fewer were found. `effort` counts from 0 and is ignored by exact
            indexes.
        max_effort: The largest effort that changes anything; 0 for exact indexes.
        settings: What the index was built with, for the provenance.
    """

    name: str
    search: Callable[[Floats, int, int], Integers]
    max_effort: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)


@functools.cache
def load_scann() -> Any | None:
    """ScaNN's NumPy interface, or `None` where it cannot be imported (outside Linux)."""
    try:
        with _without_tensorflow():
            return importlib.import_module("scann.scann_ops.py.scann_ops_pybind")
    except ImportError:
        return None


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Lets imports find no TensorFlow for a moment.

    ScaNN loads its TensorFlow operators where it can. They are not used here, are built against
    TensorFlow 2.20 alone, and end the import with an undefined symbol under any other.
    """
    loaded = sys.modules.get("tensorflow")
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["tensorflow"]
        if loaded is not None:
            sys.modules["tensorflow"] = loaded


def _required_scann() -> Any:
    scann = load_scann()
    if scann is None:
        raise InputError(
            "This index needs ScaNN, which cannot be imported here (it has Linux wheels only). "
            "Use the index 'auto' or 'sklearn'."
        )
    return scann


def scann_exact(features: Floats, count: int) -> Index:
    """ScaNN's brute force over float32 features."""
    searcher = _required_scann().builder(features, count, "squared_l2").score_brute_force().build()

    def search(queries: Floats, count: int, effort: int) -> Integers:
        return _found(*searcher.search_batched_parallel(queries, final_num_neighbors=count))

    return Index("scann_exact", search, settings={"scann": metadata.version("scann")})


def scann_tree(features: Floats, count: int) -> Index:
    """ScaNN's partitioning tree, asymmetric hashing within leaves, float32 reordering.

    Effort e searches 8 * 2^e leaves and reorders 8 * 2^(e/2) candidates per neighbor.
    Too few rows for a tree are searched by `scann_exact`.
    """
    if len(features) < _FEWEST_FOR_TREE:
        return scann_exact(features, count)
    num_leaves = max(1, round(math.sqrt(len(features))))
    # Two dimensions per block are the published default; wide features (pixels) would
    # make codes of thousands of blocks.
    dimensions_per_block = 2 if features.shape[1] <= 1024 else 4
    training_rows = min(len(features), _TRAINING_ROWS)
    searcher = (
        _required_scann()
        .builder(features, count, "squared_l2")
        .tree(num_leaves, min(_FIRST_LEAVES, num_leaves), training_sample_size=training_rows)
        .score_ah(dimensions_per_block, training_sample_size=training_rows)
        .reorder(_REORDER_FACTOR * count)
        .build()
    )

    def search(queries: Floats, count: int, effort: int) -> Integers:
        return _found(
            *searcher.search_batched_parallel(
                queries,
                final_num_neighbors=count,
                leaves_to_search=min(_FIRST_LEAVES * 2**effort, num_leaves),
                pre_reorder_num_neighbors=round(_REORDER_FACTOR * count * 2 ** (effort / 2)),
            )
        )

    settings = {
        "scann": metadata.version("scann"),
        "num_leaves": num_leaves,
        "first_leaves_to_search": _FIRST_LEAVES,
        "dimensions_per_block": dimensions_per_block,
        "reorder_factor": _REORDER_FACTOR,
        "training_rows": training_rows,
    }
    max_effort = max(0, math.ceil(math.log2(num_leaves / _FIRST_LEAVES)))
    return Index("scann_tree", search, max_effort, settings)


def sklearn_exact(features: Floats, count: int) -> Index:
    """scikit-learn's brute force: the fallback without ScaNN, and the reference for recall."""
    import sklearn
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(features)

    def search(queries: Floats, count: int, effort: int) -> Integers:
        rows = neighbors.kneighbors(queries, n_neighbors=count, return_distance=False)
        return np.asarray(rows, np.int64)

    return Index("sklearn", search, settings={"scikit-learn": sklearn.__version__})


INDEXES: Mapping[str, Callable[[Floats, int], Index]] = {
    "scann_exact": scann_exact,
    "scann_tree": scann_tree,
    "sklearn": sklearn_exact,
}


def _found(rows: Any, distances: Any) -> Integers:
    """ScaNN marks what it did not find by a distance that is not a number."""
    return np.where(np.isfinite(distances), np.asarray(rows, np.int64), -1)
