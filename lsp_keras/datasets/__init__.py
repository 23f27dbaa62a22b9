"""Image datasets as arrays in memory, and the batches made from them."""

from lsp_keras.datasets._arrays import from_arrays
from lsp_keras.datasets._attach import attach
from lsp_keras.datasets._base import Folders, OpenSource, ReadOptions, Source, SourceSplit
from lsp_keras.datasets._load import encoded_files, load, split_size
from lsp_keras.datasets._load_test import load_test
from lsp_keras.datasets._pipeline import EpochBatches, count_batches, make_batches
from lsp_keras.datasets.prepared.prepare import prepare

__all__ = [
    "EpochBatches",
    "Folders",
    "OpenSource",
    "ReadOptions",
    "Source",
    "SourceSplit",
    "attach",
    "count_batches",
    "encoded_files",
    "from_arrays",
    "load",
    "load_test",
    "make_batches",
    "prepare",
    "split_size",
]
