"""Accuracy under attack, as a record that says what it is worth."""

from lsp_keras.evaluation._diagnose import diagnose
from lsp_keras.evaluation._diagnosis import Diagnosis
from lsp_keras.evaluation._evaluate import evaluate
from lsp_keras.evaluation._flags import Flag
from lsp_keras.evaluation._load import Classifier, load_classifier
from lsp_keras.evaluation._report import AttackRecord, Report
from lsp_keras.evaluation._shares import Share

__all__ = [
    "AttackRecord",
    "Classifier",
    "Diagnosis",
    "Flag",
    "Report",
    "Share",
    "diagnose",
    "evaluate",
    "load_classifier",
]
