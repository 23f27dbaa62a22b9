"""What torchattacks 3.3.0 and later call AutoAttack: ten iterations, a weaker attack."""

import functools
from collections.abc import Mapping
from typing import Any, Literal

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._ensemble import Ensemble
from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.fab import FAB
from lsp_keras.attacks.square import Square
from lsp_keras.types import Norm

__all__ = ["AutoAttackTorchattacks"]

_NUM_STEPS = 10


class AutoAttackTorchattacks(Ensemble):
    """AutoAttack's parts with torchattacks' defaults; not comparable with AutoAttack.

    Some papers' "AutoAttack" columns may be this. It runs 10 instead of 100 iterations, all
    other classes as targets instead of nine, and the square attack with a rescaled schedule.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"` or `"l2"`.

    References:
        Kim, Torchattacks: A PyTorch Repository for Adversarial Attacks, 2020, version 3.5.1,
        `torchattacks.AutoAttack`.
    """

    def __init__(self, *, epsilon: float | str, norm: Norm = "linf") -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self._parts = functools.cache(self._build)

    def parts(self, num_classes: int) -> Mapping[str, Attack]:
        """APGD, targeted APGD, targeted FAB and the square attack."""
        return self._parts(num_classes)

    def _build(self, num_classes: int) -> Mapping[str, Attack]:
        ball: dict[str, Any] = {"epsilon": self.epsilon, "norm": self.norm}
        short: dict[str, Any] = {"num_steps": _NUM_STEPS, "num_targets": max(num_classes - 1, 1)}
        objective: Literal["targeted_dlr", "margin"]
        objective = "targeted_dlr" if num_classes >= 4 else "margin"
        return {
            "apgd-ce": APGD(**ball, num_steps=_NUM_STEPS, objective="softmax_cross_entropy"),
            "apgd-t": APGD(**ball, **short, objective=objective),
            "fab-t": FAB(**ball, **short, targeted=True),
            "square": Square(**ball, rescale_schedule=True),
        }
