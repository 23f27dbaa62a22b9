"""Classifiers, whoever made them: from files, SavedModels and servers."""

from lsp_keras.classifiers.load import Classifier, load_attackable, load_classifier
from lsp_keras.classifiers.saved_model import SavedModelClassifier, choose_output

__all__ = [
    "Classifier",
    "SavedModelClassifier",
    "choose_output",
    "load_attackable",
    "load_classifier",
]
