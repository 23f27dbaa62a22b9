"""Training methods and what they need: callbacks, schedules, checkpoints."""

from lsp_keras.training._callbacks import (
    BestAndLast,
    BestAverage,
    HistoryCSV,
    RobustValidation,
)
from lsp_keras.training._errors import CollapseError, NonFiniteLossError, TrainingError
from lsp_keras.training._moco import MoCoTrainer
from lsp_keras.training._optimizer import CoupledSGD
from lsp_keras.training._options import StepOptions
from lsp_keras.training._pretraining import (
    PretrainSettings,
    encoder_folder,
    find_or_pretrain,
    pretrain,
)
from lsp_keras.training._progress import ThroughputProgress
from lsp_keras.training._run import make_deterministic, run_training
from lsp_keras.training._schedules import SCHEDULES, Cyclic, OneCycle, schedule
from lsp_keras.training._state import StatefulCallback
from lsp_keras.training._stopping import CollapseGuard, EarlyStopping
from lsp_keras.training._tensorboard import TensorBoardScalars
from lsp_keras.training._trainer import RobustTrainer
from lsp_keras.training.at import ATTrainer
from lsp_keras.training.augmix import AugMixTrainer
from lsp_keras.training.cutmix import CutMixTrainer
from lsp_keras.training.hat import HATTrainer
from lsp_keras.training.mart import MARTTrainer
from lsp_keras.training.mixup import MixupTrainer
from lsp_keras.training.standard import StandardTrainer
from lsp_keras.training.trades import TRADESTrainer

__all__ = [
    "SCHEDULES",
    "ATTrainer",
    "AugMixTrainer",
    "BestAndLast",
    "BestAverage",
    "CollapseError",
    "CollapseGuard",
    "CoupledSGD",
    "CutMixTrainer",
    "Cyclic",
    "EarlyStopping",
    "HATTrainer",
    "HistoryCSV",
    "MARTTrainer",
    "MixupTrainer",
    "MoCoTrainer",
    "NonFiniteLossError",
    "OneCycle",
    "PretrainSettings",
    "RobustTrainer",
    "RobustValidation",
    "StandardTrainer",
    "StatefulCallback",
    "StepOptions",
    "TRADESTrainer",
    "TensorBoardScalars",
    "ThroughputProgress",
    "TrainingError",
    "encoder_folder",
    "find_or_pretrain",
    "make_deterministic",
    "pretrain",
    "run_training",
    "schedule",
]
