"""Accuracy under attack, as a record that says what it is worth."""

from lsp_keras.evaluation._diagnose import diagnose
from lsp_keras.evaluation._diagnosis import Diagnosis
from lsp_keras.evaluation._evaluate import evaluate
from lsp_keras.evaluation._flags import Flag
from lsp_keras.evaluation._load import Classifier, load_attackable, load_classifier
from lsp_keras.evaluation._profile import Profile, profile
from lsp_keras.evaluation._provenance import model_fingerprint
from lsp_keras.evaluation._report import AttackRecord, Report
from lsp_keras.evaluation._saved_model import SavedModelClassifier, choose_output
from lsp_keras.evaluation._shares import Share
from lsp_keras.evaluation._structure import LocalStructure
from lsp_keras.evaluation._suites import SUITES, build_attacks, cascade

__all__ = [
    "SUITES",
    "AttackRecord",
    "Classifier",
    "Diagnosis",
    "Flag",
    "LocalStructure",
    "Profile",
    "Report",
    "SavedModelClassifier",
    "Share",
    "build_attacks",
    "cascade",
    "choose_output",
    "diagnose",
    "evaluate",
    "load_attackable",
    "load_classifier",
    "model_fingerprint",
    "profile",
]
