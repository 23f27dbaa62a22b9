"""Carrying a training run out: callbacks, schedules, checkpoints, the optimizer."""

from lsp_keras.training.callbacks import (
    BestAndLast,
    BestAverage,
    HistoryCSV,
    RobustValidation,
)
from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.training.overfitting import OverfittingGuard
from lsp_keras.training.progress import ThroughputProgress
from lsp_keras.training.run import make_deterministic, run_training
from lsp_keras.training.schedules import (
    SCHEDULES,
    Cyclic,
    OneCycle,
    OneCycleMomentum,
    schedule,
)
from lsp_keras.training.state import StatefulCallback
from lsp_keras.training.stopping import CollapseGuard, EarlyStopping
from lsp_keras.training.tensorboard import TensorBoardScalars

__all__ = [
    "SCHEDULES",
    "BestAndLast",
    "BestAverage",
    "CollapseGuard",
    "CoupledSGD",
    "Cyclic",
    "EarlyStopping",
    "HistoryCSV",
    "OneCycle",
    "OneCycleMomentum",
    "OverfittingGuard",
    "RobustValidation",
    "StatefulCallback",
    "TensorBoardScalars",
    "ThroughputProgress",
    "make_deterministic",
    "run_training",
    "schedule",
]
