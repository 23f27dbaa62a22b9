"""Classifiers, whoever made them: one door for Keras models, files, SavedModels and servers."""

from lsp_keras.classifiers.classifier import Classifier
from lsp_keras.classifiers.features import feature_model
from lsp_keras.classifiers.load import find_file, load_classifier, load_keras
from lsp_keras.classifiers.outputs import choose_output
from lsp_keras.classifiers.pixels import PixelRange, parse_pixel_range
from lsp_keras.classifiers.probe import probe
from lsp_keras.classifiers.read import adapt, read, sample_rows, trainable
from lsp_keras.classifiers.saved_model import SavedModelClassifier

__all__ = [
    "Classifier",
    "PixelRange",
    "SavedModelClassifier",
    "adapt",
    "choose_output",
    "feature_model",
    "find_file",
    "load_classifier",
    "load_keras",
    "parse_pixel_range",
    "probe",
    "read",
    "sample_rows",
    "trainable",
]
