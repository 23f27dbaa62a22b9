"""Any list of attacks as one."""

from collections.abc import Mapping

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._ensemble import Ensemble
from lsp_keras.types import Norm
from lsp_keras.validation import InputError


class Cascade(Ensemble):
    """The given attacks, each on what the ones before it left standing.

    Args:
        attacks: Attacks by name, in the order they run, all with this radius and norm.
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: `"linf"`, `"l2"` or `"l1"`.

    Raises:
        InputError: There are none, or one has another radius or norm.
    """

    supported_norms = ("linf", "l2", "l1")

    def __init__(
        self, *, attacks: Mapping[str, Attack], epsilon: float | str, norm: Norm = "linf"
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        for name, attack in attacks.items():
            if (attack.epsilon, attack.norm) != (self.epsilon, self.norm):
                raise InputError(
                    f"All attacks of a cascade share one ball. Received: {name} with "
                    f"epsilon={attack.epsilon:g}, norm={attack.norm!r}, in a cascade with "
                    f"epsilon={self.epsilon:g}, norm={self.norm!r}."
                )
        if not attacks:
            raise InputError("`attacks` must name at least one attack. Received: none.")
        self.attacks = dict(attacks)
        self.uses_gradients = any(attack.uses_gradients for attack in attacks.values())

    def parts(self, num_classes: int) -> Mapping[str, Attack]:
        """The given attacks."""
        return self.attacks
