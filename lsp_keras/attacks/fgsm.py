"""Fast gradient method: one step of full length."""

import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

from lsp_keras.attacks._base import Attack
from lsp_keras.attacks._gradient import CLEVERHANS_ORDERS
from lsp_keras.attacks._problem import Problem
from lsp_keras.choices import ObjectiveName
from lsp_keras.ops import objectives
from lsp_keras.ops.gradients import with_unit_gradient
from lsp_keras.types import Norm

__all__ = ["FGSM"]


class FGSM(Attack):
    """One step of length `epsilon` along the sign (L-inf) or direction (L2) of the gradient.

    Args:
        epsilon: Radius of the ball on the [0, 1] scale, a number or text such as "8/255".
        norm: Norm of the ball: `"linf"` or `"l2"`.
        objective: Objective to climb: a name in `lsp_keras.ops.objectives.OBJECTIVES`, or a
            function `(labels, logits) -> (batch,)`.

    References:
        Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples, 2015.
        CleverHans 4.0, `cleverhans.tf2.attacks.fast_gradient_method`.
    """

    is_iterative = False

    def __init__(
        self,
        *,
        epsilon: float | str,
        norm: Norm = "linf",
        objective: ObjectiveName | objectives.Objective = "cross_entropy",
    ) -> None:
        super().__init__(epsilon=epsilon, norm=norm)
        objectives.get(objective)
        self.objective = objective

    def run(self, problem: Problem) -> tf.Tensor:
        return fast_gradient_method(
            with_unit_gradient(problem.logits_fn),
            problem.images,
            self.epsilon,
            CLEVERHANS_ORDERS[self.norm],
            loss_fn=objectives.get(self.objective),
            clip_min=0.0,
            clip_max=1.0,
            y=problem.labels,
        )
