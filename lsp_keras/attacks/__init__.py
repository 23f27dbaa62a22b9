"""Adversarial attacks under one contract: each file without an underscore is one attack.

Example:
    >>> from lsp_keras.attacks.pgd import PGD
    >>> attack = PGD(epsilon=8 / 255, num_steps=10)
    >>> result = attack(model, images, labels, seed=0)      # doctest: +SKIP
    >>> result.success.mean()                               # doctest: +SKIP
"""

from lsp_keras.attacks._base import Attack, AttackResult
from lsp_keras.attacks._cascade import Cascade
from lsp_keras.attacks._ensemble import Ensemble
from lsp_keras.attacks._inputs import NonFiniteError
from lsp_keras.attacks._unperturbed import Unperturbed
from lsp_keras.inference.logits import LogitsFn, inference_logits

__all__ = [
    "Attack",
    "AttackResult",
    "Cascade",
    "Ensemble",
    "LogitsFn",
    "NonFiniteError",
    "Unperturbed",
    "inference_logits",
]
