"""PGD from several starts, which it calls rounds."""

from lsp_keras.attacks.pgd import PGD
from lsp_keras.types import Norm

__all__ = ["Rounds"]


class Rounds(PGD):
    """PGD whose restarts have another name.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale.
        norm: Norm of the ball.
        step_size: Length of a step.
        num_steps: Steps of each round.
        num_rounds: Number of rounds.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        step_size: float | str | None = None,
        num_steps: int = 10,
        num_rounds: int = 1,
    ) -> None:
        super().__init__(
            epsilon=epsilon,
            norm=norm,
            step_size=step_size,
            num_steps=num_steps,
            num_restarts=num_rounds,
        )
        self.num_rounds = num_rounds
