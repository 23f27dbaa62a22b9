"""The paper's CW under L-inf: projected gradient descent on the margin."""

from lsp_keras.attacks.pgd import PGD
from lsp_keras.types import Norm

__all__ = ["CWLinf"]


class CWLinf(PGD):
    """PGD on the largest other logit less the true one, as robustness papers call CW.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"`, the only one.
        step_size: Length of a step, default `2.5 * epsilon / num_steps` and at most `epsilon`.
        num_steps: Steps of each restart.
        num_restarts: Number of starts.

    References:
        Carlini and Wagner, Towards Evaluating the Robustness of Neural Networks, 2017, f_6.
        Madry et al., 2018, Section 5: the same objective under PGD.
    """

    supported_norms = ("linf",)

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        step_size: float | str | None = None,
        num_steps: int = 40,
        num_restarts: int = 1,
    ) -> None:
        super().__init__(
            epsilon=epsilon,
            norm=norm,
            step_size=step_size,
            num_steps=num_steps,
            num_restarts=num_restarts,
            objective="margin",
        )
