"""SavedModels in the layout that TensorFlow Serving reads."""

from lsp_keras.export.saved_model import export_model

__all__ = ["export_model"]
