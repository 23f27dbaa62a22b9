"""Adversarial attacks under one contract: each file without an underscore is one attack.

Example:
    >>> from lsp_keras.attacks import PGD
    >>> attack = PGD(epsilon=8 / 255, num_steps=10)
    >>> result = attack(model, images, labels, seed=0)      # doctest: +SKIP
    >>> result.success.mean()                               # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from lsp_keras._face import show
from lsp_keras.attacks._base import Attack, AttackResult
from lsp_keras.attacks._ensemble import Cascade, Ensemble, Unperturbed, in_cascade
from lsp_keras.attacks._inputs import NonFiniteError
from lsp_keras.attacks._problem import Problem
from lsp_keras.inference.logits import LogitsFn, inference_logits

if TYPE_CHECKING:
    from lsp_keras.attacks.apgd import APGD
    from lsp_keras.attacks.autoattack import AutoAttack
    from lsp_keras.attacks.autoattack_torchattacks import AutoAttackTorchattacks
    from lsp_keras.attacks.bim import BIM
    from lsp_keras.attacks.cw_l2 import CWL2
    from lsp_keras.attacks.cw_l2_fixed_c import CWL2FixedC
    from lsp_keras.attacks.cw_linf import CWLinf
    from lsp_keras.attacks.fab import FAB
    from lsp_keras.attacks.fgsm import FGSM
    from lsp_keras.attacks.mim import MIM
    from lsp_keras.attacks.noise import Noise
    from lsp_keras.attacks.pgd import PGD
    from lsp_keras.attacks.spsa import SPSA
    from lsp_keras.attacks.square import Square

__all__ = [
    "APGD",
    "BIM",
    "CWL2",
    "FAB",
    "FGSM",
    "MIM",
    "PGD",
    "SPSA",
    "Attack",
    "AttackResult",
    "AutoAttack",
    "AutoAttackTorchattacks",
    "CWL2FixedC",
    "CWLinf",
    "Cascade",
    "Ensemble",
    "LogitsFn",
    "Noise",
    "NonFiniteError",
    "Problem",
    "Square",
    "Unperturbed",
    "in_cascade",
    "inference_logits",
]

show(__name__, kind="attack")
