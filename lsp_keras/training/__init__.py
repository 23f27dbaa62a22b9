"""Training methods and what they need: callbacks, schedules, checkpoints."""

from lsp_keras.training._finite import NonFiniteLossError
from lsp_keras.training._optimizer import CoupledSGD
from lsp_keras.training._schedules import SCHEDULES, OneCycle, schedule
from lsp_keras.training._trainer import RobustTrainer
from lsp_keras.training.at import ATTrainer
from lsp_keras.training.standard import StandardTrainer

__all__ = [
    "SCHEDULES",
    "ATTrainer",
    "CoupledSGD",
    "NonFiniteLossError",
    "OneCycle",
    "RobustTrainer",
    "StandardTrainer",
    "schedule",
]
