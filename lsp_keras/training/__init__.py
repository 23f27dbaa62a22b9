"""Training methods and what they need: callbacks, schedules, checkpoints."""

from lsp_keras.errors import CollapseError, NonFiniteLossError, TrainingError
from lsp_keras.methods._options import StepOptions
from lsp_keras.methods._trainer import RobustTrainer
from lsp_keras.methods.at import ATTrainer
from lsp_keras.methods.augmix import AugMixTrainer
from lsp_keras.methods.cutmix import CutMixTrainer
from lsp_keras.methods.hat import HATTrainer
from lsp_keras.methods.mart import MARTTrainer
from lsp_keras.methods.mixup import MixupTrainer
from lsp_keras.methods.standard import StandardTrainer
from lsp_keras.methods.trades import TRADESTrainer
from lsp_keras.pretraining.moco import MoCoTrainer
from lsp_keras.pretraining.pretrain import (
    PretrainSettings,
    encoder_folder,
    find_or_pretrain,
    pretrain,
)
from lsp_keras.training.callbacks import (
    BestAndLast,
    BestAverage,
    HistoryCSV,
    RobustValidation,
)
from lsp_keras.training.optimizer import CoupledSGD
from lsp_keras.training.progress import ThroughputProgress
from lsp_keras.training.run import make_deterministic, run_training
from lsp_keras.training.schedules import SCHEDULES, Cyclic, OneCycle, schedule
from lsp_keras.training.state import StatefulCallback
from lsp_keras.training.stopping import CollapseGuard, EarlyStopping
from lsp_keras.training.tensorboard import TensorBoardScalars

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
