"""Training methods and what they need: callbacks, schedules, checkpoints."""

from lsp_keras.training._callbacks import BestAndLast, HistoryCSV, RobustValidation
from lsp_keras.training._finite import NonFiniteLossError
from lsp_keras.training._optimizer import CoupledSGD
from lsp_keras.training._progress import ThroughputProgress
from lsp_keras.training._run import make_deterministic, run_training
from lsp_keras.training._schedules import SCHEDULES, OneCycle, schedule
from lsp_keras.training._state import StatefulCallback
from lsp_keras.training._trainer import RobustTrainer
from lsp_keras.training.at import ATTrainer
from lsp_keras.training.standard import StandardTrainer

__all__ = [
    "SCHEDULES",
    "ATTrainer",
    "BestAndLast",
    "CoupledSGD",
    "HistoryCSV",
    "NonFiniteLossError",
    "OneCycle",
    "RobustTrainer",
    "RobustValidation",
    "StandardTrainer",
    "StatefulCallback",
    "ThroughputProgress",
    "make_deterministic",
    "run_training",
    "schedule",
]
