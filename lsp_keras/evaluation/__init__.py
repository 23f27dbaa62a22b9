"""Accuracy under attack, as a record that says what it is worth."""

from typing import TYPE_CHECKING

from lsp_keras._face import show

if TYPE_CHECKING:
    from lsp_keras.evaluation.diagnosis.diagnose import diagnose
    from lsp_keras.evaluation.diagnosis.local_structure import LocalStructure
    from lsp_keras.evaluation.diagnosis.record import Diagnosis
    from lsp_keras.evaluation.evaluate import evaluate
    from lsp_keras.evaluation.profile.profile import Profile, profile
    from lsp_keras.evaluation.provenance import model_fingerprint
    from lsp_keras.evaluation.report import AttackRecord, Report
    from lsp_keras.evaluation.shards import merge, shard_record
    from lsp_keras.evaluation.share import Share
    from lsp_keras.evaluation.suites import SUITES, build_attacks, cascade
    from lsp_keras.types import Flag

__all__ = [
    "SUITES",
    "AttackRecord",
    "Diagnosis",
    "Flag",
    "LocalStructure",
    "Profile",
    "Report",
    "Share",
    "build_attacks",
    "cascade",
    "diagnose",
    "evaluate",
    "merge",
    "model_fingerprint",
    "profile",
    "shard_record",
]

show(__name__)
