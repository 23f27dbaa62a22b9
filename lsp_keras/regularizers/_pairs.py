"""What the regularizers share that compare each clean image with an adversarial version of it."""

from typing import NamedTuple

import keras
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.regularizers._base import Batch, Regularizer
from lsp_keras.regularizers._passes import feature_model


class Prepared(NamedTuple):
    """Adversarial images, as the batch's, and whether they are the method's own."""

    adversarial: tf.Tensor
    from_method: bool


class PairRegularizer(Regularizer):
    """Takes the method's adversarial images, or makes some where the method has none.

    Args:
        epsilon: L-inf radius of the attack on the [0, 1] scale, a number or text; for methods that
            make no adversarial images.
        step_size: Length of the attack's step, default `2.5 * epsilon / num_steps` and at most
            `epsilon`.
        num_steps: Steps of the attack, PGD on the cross-entropy.
        name: Name that the terms are logged under.
    """

    def __init__(
        self, *, epsilon: float | str, step_size: float | str | None, num_steps: int, name: str
    ) -> None:
        super().__init__(name=name)
        self._attack = PGD(epsilon=epsilon, step_size=step_size, num_steps=num_steps)
        self.epsilon = self._attack.epsilon
        self.step_size = self._attack.step_size
        self.num_steps = num_steps

    def check(self, classifier: keras.Model) -> None:
        feature_model(classifier)

    def prepare(
        self,
        classifier: keras.Model,
        batch: Batch,
        *,
        adversarial: tf.Tensor | None,
        seed: tf.Tensor,
    ) -> Prepared:
        if adversarial is not None:
            return Prepared(adversarial, from_method=True)
        images = self._attack.perturb(
            classifier, batch["images"], batch["labels"], seed=seed, indices=batch["indices"]
        )
        return Prepared(images, from_method=False)
