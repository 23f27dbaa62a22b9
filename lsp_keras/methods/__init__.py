"""Training methods: each file without an underscore is one, on the one step they share."""

from lsp_keras._face import show
from lsp_keras.methods._adversarial import AdversarialTrainer
from lsp_keras.methods._options import StepOptions
from lsp_keras.methods._single_step import SingleStepTrainer
from lsp_keras.methods._trainer import RobustTrainer, Terms
from lsp_keras.methods.at import ATTrainer
from lsp_keras.methods.augmix import AugMixTrainer
from lsp_keras.methods.cutmix import CutMixTrainer
from lsp_keras.methods.fast_at import FastATTrainer
from lsp_keras.methods.fgsm_pgi import FGSMPGITrainer
from lsp_keras.methods.hat import HATTrainer
from lsp_keras.methods.mart import MARTTrainer
from lsp_keras.methods.mixup import MixupTrainer
from lsp_keras.methods.nuat import NuATTrainer
from lsp_keras.methods.standard import StandardTrainer
from lsp_keras.methods.trades import TRADESTrainer

__all__ = [
    "ATTrainer",
    "AdversarialTrainer",
    "AugMixTrainer",
    "CutMixTrainer",
    "FGSMPGITrainer",
    "FastATTrainer",
    "HATTrainer",
    "MARTTrainer",
    "MixupTrainer",
    "NuATTrainer",
    "RobustTrainer",
    "SingleStepTrainer",
    "StandardTrainer",
    "StepOptions",
    "TRADESTrainer",
    "Terms",
]

show(__name__, kind="method")
