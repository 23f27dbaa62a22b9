"""SavedModels in the layout that TensorFlow Serving reads."""

from lsp_keras.export.model_card import make_card
from lsp_keras.export.options import ExportOptions
from lsp_keras.export.saved_model import export_model

__all__ = ["ExportOptions", "export_model", "make_card"]
