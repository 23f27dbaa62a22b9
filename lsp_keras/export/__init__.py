"""SavedModels in the layout that TensorFlow Serving reads."""

from lsp_keras.export.model_card import make_card
from lsp_keras.export.options import ExportOptions
from lsp_keras.export.saved_model import export_model
from lsp_keras.export.served_files import Agreement, compare_files

__all__ = ["Agreement", "ExportOptions", "compare_files", "export_model", "make_card"]
