"""AutoAttack: an ensemble without parameters, the field's standard measure."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

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

    APGD's cross-entropy is the official code's, so that numbers compare; where it vanishes the
    other parts, which no scale of the logits deceives, do the work.

    With fewer than four classes the targeted attacks are replaced by untargeted ones. Under L1
    the standard version gives APGD five restarts on the cross entropy and five instead of nine
    targets, and lets each run begin in larger balls, as the official code does.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, `"l2"` or `"l1"`.
        version: Version of the suite: `"standard"`; `"plus"` adds untargeted attacks with five
            restarts; `"rand"` averages gradients over 20 passes, for models that answer at random.

    References:
        Croce and Hein, Reliable Evaluation of Adversarial Robustness with an Ensemble of
        Diverse Parameter-free Attacks, 2020.
        Croce and Hein, Mind the Box: l1-APGD for Sparse Adversarial Attacks on Image
        Classifiers, ICML 2021, Section 5, for L1.
    """

    supported_norms = ("linf", "l2", "l1")

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        version: Literal["standard", "plus", "rand"] = "standard",
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
        ascent = ball | self._apgd_options()
        targeted = ascent | {"num_restarts": 1, "num_samples": 1}
        builders: dict[str, Callable[[], Attack]] = {
            "apgd-ce": lambda: APGD(**ascent, objective="softmax_cross_entropy"),
            "apgd-dlr": lambda: APGD(**ascent, objective="dlr"),
            "apgd-margin": lambda: APGD(**ascent, objective="margin"),
            "apgd-t": lambda: APGD(**targeted, objective="targeted_dlr"),
            "fab": lambda: FAB(**ball, num_restarts=_RESTARTS[self.version]),
            "fab-t": lambda: FAB(**ball, targeted=True),
            "square": lambda: Square(**ball),
        }
        return builders[name]()

    def _apgd_options(self) -> dict[str, Any]:
        if self.norm == "l1" and self.version == "standard":
            return {"num_restarts": 5, "num_targets": 5, "shrink_ball": True}
        return {"num_restarts": _RESTARTS[self.version], "num_samples": _SAMPLES[self.version]}


def part_name(name: str, num_classes: int) -> str:
    """The attack that stands for the named one with so few classes."""
    minimum, substitute = _FEW_CLASSES.get(name, (0, name))
    return name if num_classes >= minimum else part_name(substitute, num_classes)
