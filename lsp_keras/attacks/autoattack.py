"""AutoAttack: an ensemble without parameters, the field's standard measure."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._ensemble import Ensemble
from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.fab import FAB
from lsp_keras.attacks.square import Square
from lsp_keras.types import Norm
from lsp_keras.validation import check_choice

__all__ = ["AutoAttack"]

_VERSIONS = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
}
_RESTARTS = {"standard": 1, "plus": 5, "rand": 1}
_SAMPLES = {"standard": 1, "plus": 1, "rand": 20}
# The targeted DLR needs four classes and DLR three; these stand in for them below that.
_FEW_CLASSES = {"apgd-t": (4, "apgd-dlr"), "fab-t": (4, "fab"), "apgd-dlr": (3, "apgd-margin")}


class AutoAttack(Ensemble):
    """APGD on the cross entropy and the targeted DLR, targeted FAB and the square attack.

    With fewer than four classes the targeted attacks are replaced by untargeted ones.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: `"linf"` or `"l2"`.
        version: `"standard"`; `"plus"` adds untargeted attacks with five restarts; `"rand"`
            averages gradients over 20 passes, for models that answer at random.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of
        Diverse Parameter-free Attacks, 2020.
    """

    def __init__(
        self, *, epsilon: float | str, norm: Norm = "linf", version: str = "standard"
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        self.version = check_choice("version", version, _VERSIONS)
        self._parts = functools.cache(self._build)

    def parts(self, num_classes: int) -> Mapping[str, Attack]:
        """The version's attacks, in their order."""
        return self._parts(min(num_classes, 4))

    def _build(self, num_classes: int) -> Mapping[str, Attack]:
        names = [part_name(name, num_classes) for name in _VERSIONS[self.version]]
        return {name: self._build_part(name) for name in dict.fromkeys(names)}

    def _build_part(self, name: str) -> Attack:
        ball: dict[str, Any] = {"epsilon": self.epsilon, "norm": self.norm}
        restarts, samples = _RESTARTS[self.version], _SAMPLES[self.version]
        untargeted: dict[str, Any] = {"num_restarts": restarts, "num_samples": samples}
        builders: dict[str, Callable[[], Attack]] = {
            "apgd-ce": lambda: APGD(**ball, **untargeted),
            "apgd-dlr": lambda: APGD(**ball, **untargeted, objective="dlr"),
            "apgd-margin": lambda: APGD(**ball, **untargeted, objective="margin"),
            "apgd-t": lambda: APGD(**ball, objective="targeted_dlr"),
            "fab": lambda: FAB(**ball, num_restarts=restarts),
            "fab-t": lambda: FAB(**ball, targeted=True),
            "square": lambda: Square(**ball),
        }
        return builders[name]()


def part_name(name: str, num_classes: int) -> str:
    """The attack that stands for the named one with so few classes."""
    minimum, substitute = _FEW_CLASSES.get(name, (0, name))
    return name if num_classes >= minimum else part_name(substitute, num_classes)
