"""Image datasets as arrays in memory, and the batches made from them."""

from lsp_keras.datasets._load import load
from lsp_keras.datasets._pipeline import count_batches, make_batches

__all__ = ["count_batches", "load", "make_batches"]
