"""Image datasets as arrays in memory, and the batches made from them."""

from lsp_keras.datasets._load import load
from lsp_keras.datasets._pipeline import count_batches, make_batches
from lsp_keras.plots.contact_sheet import contact_sheet

__all__ = ["contact_sheet", "count_batches", "load", "make_batches"]
