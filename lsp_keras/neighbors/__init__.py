"""Neighbor tables: mining, files, cache, diagnosis. Knows no model.

A table's provenance is a JSON record: `source` (dataset, split, where the features come from),
`images` (fingerprint), `num_images`, `num_dimensions`, `metric`, `settings`, `space`, and for
mined tables `index` (name, version, parameters, effort) and `recall` (value, sample).
"""

from lsp_keras.neighbors.batches import BatchMix
from lsp_keras.neighbors.cache import SPACES, find_or_mine, table_path
from lsp_keras.neighbors.contrast import Contrast
from lsp_keras.neighbors.diagnosis import diagnose, knn_accuracy, mutual_share
from lsp_keras.neighbors.features import FeatureSource, embeddings_source, image_features
from lsp_keras.neighbors.grouping import GroupedOrder, MutualNeighbors
from lsp_keras.neighbors.mining import MiningSettings, mine, random_neighbors
from lsp_keras.neighbors.queries import nearest_among
from lsp_keras.neighbors.stored import (
    features_path,
    find_features,
    load_features,
    save_features,
)
from lsp_keras.neighbors.table import check_belongs, load_table, save_table

__all__ = [
    "SPACES",
    "BatchMix",
    "Contrast",
    "FeatureSource",
    "GroupedOrder",
    "MiningSettings",
    "MutualNeighbors",
    "check_belongs",
    "diagnose",
    "embeddings_source",
    "features_path",
    "find_features",
    "find_or_mine",
    "image_features",
    "knn_accuracy",
    "load_features",
    "load_table",
    "mine",
    "mutual_share",
    "nearest_among",
    "random_neighbors",
    "save_features",
    "save_table",
    "table_path",
]
