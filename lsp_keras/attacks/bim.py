"""Basic iterative method: projected gradient steps from the clean image."""

from lsp_keras.attacks.pgd import PGD
from lsp_keras.choices import ObjectiveName
from lsp_keras.ops import objectives
from lsp_keras.types import Norm

__all__ = ["BIM"]


class BIM(PGD):
    """PGD without a random start.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"` or `"l2"`.
        step_size: Length of a step, default `2.5 * epsilon / num_steps` and at most `epsilon`.
        num_steps: Number of steps.
        objective: Objective to climb: a name in `lsp_keras.ops.objectives.OBJECTIVES`, or a
            function `(labels, logits) -> (batch,)`.

    References:
        Kurakin, Goodfellow and Bengio, Adversarial Examples in the Physical World, 2017.
        CleverHans 4.0, `cleverhans.tf2.attacks.basic_iterative_method`.
    """

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        step_size: float | str | None = None,
        num_steps: int = 10,
        objective: ObjectiveName | objectives.Objective = "cross_entropy",
    ) -> None:
        # It begins at the clean image, where every comparison with it is flat.
        objectives.get(objective)
        super().__init__(
            epsilon=epsilon,
            norm=norm,
            step_size=step_size,
            num_steps=num_steps,
            random_start=False,
            objective=objective,
        )
