"""For each training image its nearest others in a feature space, or random others.

Neighbors are found by ScaNN (Guo et al., 2020) or scikit-learn; labels play no part. Whatever
the index and the scale of the features, the distances in the table are recomputed in float32, an
image is never its own
neighbor (it is excluded by its row, so exact duplicates stay neighbors of each other), and the
recall against exact search on a sample of images is measured and kept in the provenance.

References:
    Guo et al., Accelerating Large-Scale Inference with Anisotropic Vector Quantization, 2020.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsp_keras.neighbors.features import (
    Encode,
    Prepared,
    image_features,
    own_features,
    prepare,
    silent,
)
from lsp_keras.neighbors.search import INDEXES, Index, load_scann, sklearn_exact
from lsp_keras.storage import fingerprint
from lsp_keras.types import Floats, Integers, NeighborTable, Progress
from lsp_keras.validation import InputError, check_choice

logger = logging.getLogger(__name__)

# Candidates beyond the neighbors and the image itself: an index may rank near ties by rounding
# errors, the recomputed distances decide.
_SPARE = 4
_CHUNK_VALUES = 2**24
_CHUNK_ROWS = 4096


@dataclass(frozen=True)
class MiningSettings:
    """How neighbors are searched; everything here is part of a table's cache key.

    Attributes:
        num_neighbors: Neighbors of each image (the paper's m).
        normalize: Whether features are divided by their Euclidean norm first, as SCAN does for
            its contrastive features. The LSP paper does not say.
        index: Kind of search: `"auto"`, `"scann_exact"`, `"scann_tree"` or `"sklearn"`. Auto is
            ScaNN (exact below `exact_below` images, tree from there on) or, where ScaNN cannot be
            imported, scikit-learn's exact search.
        exact_below: Number of images below which auto searches exactly.
        min_recall: The tree's search effort is doubled until recall on a sample reaches this; an
            index that does not reach it gives way to exact search.
        recall_sample: Images on which recall is measured.
        seed: Seed of the samples, and of the neighbors of `random_neighbors`.
    """

    num_neighbors: int = 8
    normalize: bool = True
    index: str = "auto"
    exact_below: int = 20_000
    min_recall: float = 0.99
    recall_sample: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("index", self.index, ["auto", *INDEXES])
        if self.num_neighbors < 1:
            raise InputError(f"`num_neighbors` must be at least 1. Received: {self.num_neighbors}.")
        if not 0 <= self.min_recall <= 1:
            raise InputError(f"`min_recall` must be in [0, 1]. Received: {self.min_recall}.")

    def index_for(self, num_images: int) -> str:
        """The index's name with auto resolved."""
        if self.index != "auto":
            return self.index
        if load_scann() is None:
            logger.warning(
                "ScaNN cannot be imported here: mining falls back to scikit-learn's exact search."
            )
            return "sklearn"
        return "scann_exact" if num_images < self.exact_below else "scann_tree"


def mine(
    images: npt.NDArray[Any],
    settings: MiningSettings | None = None,
    *,
    encode: Encode | None = None,
    embeddings: npt.NDArray[Any] | None = None,
    source: Mapping[str, Any] | None = None,
    batch_size: int = 512,
    progress: Progress | None = None,
) -> NeighborTable:
    """Finds the nearest others of each image.

    Args:
        images: Images of uint8, or feature rows to search in as they are, `(n, ...)`.
        settings: Settings of the mining. Default `MiningSettings()`.
        encode: Function that maps float32 images in [0, 1] to features `(batch, dimensions)`; a
            Keras model will do. Without it and without `embeddings` the pixels are the features.
        embeddings: Features of the images, row by row, used instead of `encode`.
        source: What to note in the provenance: dataset, split, fingerprint of the encoder.
        batch_size: Images per call of `encode`.
        progress: Function that is called with `(stage, done, total)`; stages are `"encode"` and
            `"search"`.

    Returns:
        Table of `n` rows; distances are Euclidean.

    Raises:
        InputError: Too few images for that many neighbors, features of another length than
            the images, features that are not finite or all equal, an index that is not there, a
            recall below `min_recall` even by exact search.

    Example:
        >>> rows = np.array([[0.0], [1.0], [3.0]], np.float32)
        >>> mine(rows, MiningSettings(num_neighbors=1, normalize=False)).indices[:, 0].tolist()
        [1, 0, 1]
    """
    settings = settings or MiningSettings()
    features, scale = _features(images, encode, embeddings, settings, batch_size, progress)
    count = _num_candidates(features, settings)
    index = INDEXES[settings.index_for(len(features))](features, count)
    found = _find(index, features, settings, progress or silent)
    if found.recall < settings.min_recall and index.name != "sklearn":
        logger.warning(
            "The recall of %s is %.4f, below the %.4f asked for: searching exactly instead.",
            index.name,
            found.recall,
            settings.min_recall,
        )
        index = sklearn_exact(features, count)
        found = _find(index, features, settings, progress or silent)
    if found.recall < settings.min_recall:
        raise InputError(
            f"Mining reached a recall of {found.recall:.4f}, below the {settings.min_recall:.4f} "
            "asked for, even by exact search: the features' distances differ by less than rounding "
            "errors. Use other features, or lower --min-recall."
        )
    provenance = _provenance(images, features, settings, source) | {
        "space": "local",
        "index": {"name": index.name, "effort": found.effort, **index.settings},
        "recall": {
            "value": found.recall,
            "images": found.num_sampled,
            "against": "scikit-learn brute force",
        },
    }
    return NeighborTable(found.indices, found.distances * np.float32(scale), provenance)


def random_neighbors(
    images: npt.NDArray[Any],
    settings: MiningSettings | None = None,
    *,
    encode: Encode | None = None,
    embeddings: npt.NDArray[Any] | None = None,
    source: Mapping[str, Any] | None = None,
    batch_size: int = 512,
    progress: Progress | None = None,
) -> NeighborTable:
    """Draws random others for each image: the paper's global structure (Table 3).

    Args, Returns and Raises are those of `mine`; the neighbors of a row are distinct and
    sorted by their distance in the feature space.
    """
    settings = settings or MiningSettings()
    features, scale = _features(images, encode, embeddings, settings, batch_size, progress)
    drawn = _draw_others(len(features), settings)
    indices, distances = _sorted_chunks(features, drawn, settings.num_neighbors)
    provenance = _provenance(images, features, settings, source) | {"space": "global"}
    return NeighborTable(indices, distances * np.float32(scale), provenance)


class _Found(NamedTuple):
    """What an index found.

    Attributes:
        indices: Rows of the neighbors.
        distances: Distances to them, of the prepared features.
        effort: How hard was searched.
        recall: Share of the true neighbors, on a sample of rows.
        num_sampled: Number of those rows.
    """

    indices: Integers
    distances: Floats
    effort: int
    recall: float
    num_sampled: int


def _find(index: Index, features: Floats, settings: MiningSettings, progress: Progress) -> _Found:
    sample, tuning = _samples(len(features), settings)
    effort = _least_effort(index, features, tuning, settings)
    indices, distances = _search_all(index, features, effort, settings, progress)
    recall = _recall(distances[sample], _true_radius(features, sample, settings))
    return _Found(indices, distances, effort, recall, len(sample))


def _features(
    images: npt.NDArray[Any],
    encode: Encode | None,
    embeddings: npt.NDArray[Any] | None,
    settings: MiningSettings,
    batch_size: int,
    progress: Progress | None,
) -> Prepared:
    if len(images) <= settings.num_neighbors:
        raise InputError(
            f"{settings.num_neighbors} neighbors need more than {settings.num_neighbors} images. "
            f"Received: {len(images)}."
        )
    features: npt.NDArray[Any]
    if embeddings is None:
        features = image_features(images, encode, batch_size=batch_size, progress=progress)
    else:
        features = own_features(embeddings)
    if len(features) != len(images):
        raise InputError(
            f"There must be one row of embeddings for each image: {len(images)}. "
            f"Received: {len(features)}."
        )
    return prepare(features, normalize=settings.normalize)


def _provenance(
    images: npt.NDArray[Any],
    features: Floats,
    settings: MiningSettings,
    source: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "source": dict(source or {}),
        "images": fingerprint(images),
        "num_images": len(images),
        "num_dimensions": features.shape[1],
        "metric": "euclidean",
        "settings": dataclasses.asdict(settings),
    }


def _num_candidates(features: Floats, settings: MiningSettings) -> int:
    return min(settings.num_neighbors + 1 + _SPARE, len(features))


def _samples(num_images: int, settings: MiningSettings) -> tuple[Integers, Integers]:
    """Rows to measure recall on, and other rows (where there are enough) to tune on."""
    order = np.random.default_rng(settings.seed).permutation(num_images)
    count = min(settings.recall_sample, num_images)
    return order[:count], order[-count:]


def _least_effort(index: Index, features: Floats, rows: Integers, settings: MiningSettings) -> int:
    """The first effort at which recall on these rows is high enough, or the largest."""
    if index.max_effort == 0:
        return 0
    radius = _true_radius(features, rows, settings)
    for effort in range(index.max_effort):
        _, distances = _search_rows(index, features, rows, effort, settings)
        if _recall(distances, radius) >= settings.min_recall:
            return effort
    return index.max_effort


def _search_all(
    index: Index, features: Floats, effort: int, settings: MiningSettings, progress: Progress
) -> tuple[Integers, Floats]:
    total = len(features)
    parts = []
    for start in range(0, total, _CHUNK_ROWS):
        rows = np.arange(start, min(start + _CHUNK_ROWS, total))
        parts.append(_search_rows(index, features, rows, effort, settings))
        progress("search", start + len(rows), total)
    return _joined(parts)


def _search_rows(
    index: Index, features: Floats, rows: Integers, effort: int, settings: MiningSettings
) -> tuple[Integers, Floats]:
    count = _num_candidates(features, settings)
    candidates = index.search(features[rows], count, effort)
    # A tree finds fewer where the searched leaves hold fewer.
    short = (candidates >= 0).sum(axis=1) <= settings.num_neighbors
    if short.any():
        exact = sklearn_exact(features, count)
        candidates[short] = exact.search(features[rows[short]], count, 0)
    return _sorted_chunks(features, candidates, settings.num_neighbors, rows)


def _true_radius(features: Floats, rows: Integers, settings: MiningSettings) -> Floats:
    """Distance of each row's farthest neighbor by exact search, `(rows, 1)`."""
    exact = sklearn_exact(features, _num_candidates(features, settings))
    _, distances = _search_rows(exact, features, rows, 0, settings)
    return distances[:, -1:]


def _recall(distances: Floats, radius: Floats) -> float:
    """Share of neighbors no farther than the true farthest one, so that ties count as found."""
    return float((distances <= radius).mean())


def _sorted_chunks(
    features: Floats, candidates: Integers, count: int, rows: Integers | None = None
) -> tuple[Integers, Floats]:
    """`_nearest_candidates` in chunks whose gathered features fit in little memory."""
    rows = np.arange(len(candidates)) if rows is None else rows
    step = max(1, _CHUNK_VALUES // (candidates.shape[1] * features.shape[1]))
    parts = [
        _nearest_candidates(
            features, rows[start : start + step], candidates[start : start + step], count
        )
        for start in range(0, len(rows), step)
    ]
    return _joined(parts)


def _nearest_candidates(
    features: Floats, rows: Integers, candidates: Integers, count: int
) -> tuple[Integers, Floats]:
    """The nearest candidates by exact distance, ties by row number, without the row itself."""
    difference = features[candidates] - features[rows][:, None]
    distances = np.linalg.norm(difference, axis=-1)
    distances[(candidates < 0) | (candidates == rows[:, None])] = np.inf
    order = np.lexsort((candidates, distances), axis=-1)[:, :count]
    return (
        np.take_along_axis(candidates, order, axis=1),
        np.take_along_axis(distances, order, axis=1).astype(np.float32),
    )


def _joined(parts: list[tuple[Integers, Floats]]) -> tuple[Integers, Floats]:
    indices, distances = zip(*parts, strict=True)
    return np.concatenate(indices), np.concatenate(distances)


def _draw_others(num_images: int, settings: MiningSettings) -> Integers:
    """Distinct random rows other than the row itself, `(n, num_neighbors)`."""
    generator = np.random.default_rng(settings.seed)
    drawn = np.stack(
        [
            generator.choice(num_images - 1, settings.num_neighbors, replace=False, shuffle=False)
            for _ in range(num_images)
        ]
    )
    # Skipping the row itself keeps the draw uniform over the others.
    return drawn + (drawn >= np.arange(num_images)[:, None])
