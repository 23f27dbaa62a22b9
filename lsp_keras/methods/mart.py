"""MART: adversarial training that weighs stability by how uncertain the clean image is."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from lsp_keras.attacks import Attack
from lsp_keras.losses._terms import mart_terms, mart_weights
from lsp_keras.methods._adversarial import AdversarialTrainer
from lsp_keras.methods._trainer import Terms, Weights
from lsp_keras.regularizers import Anchor, Batch, Regularizer
from lsp_keras.validation import check_positive

__all__ = ["MARTTrainer"]


@keras.saving.register_keras_serializable("lsp_keras")
class MARTTrainer(AdversarialTrainer):
    """Minimizes `lsp_keras.losses.mart_loss`: boosted cross-entropy and a weighted divergence.

    The logs hold CE(f(x'), y) as `cross_entropy`, -log(1.0001 - p'_k) as `margin` and
    KL(f(x) || f(x')) * (1 - p_y) as `weighted_kl`. The attack sees the classifier in inference
    mode. In training mode the clean images pass, then the adversarial ones, each normalized by
    their own statistics; BatchNorm's moving averages follow both, as in the reference code.
    Regularizers start from the adversarial images. There is no label smoothing: the margin term
    has no form for smoothed labels. Saved are the classifier, the settings of
    attack and regularizers, beta and the seed.

    Args:
        classifier: Classifier that maps float images in [0, 1] to logits.
        attack: Attack that makes the adversarial images; the published one is
            `PGD(epsilon=8 / 255, step_size=2 / 255, num_steps=10, start="gaussian")`.
        beta: Weight of the divergence, zero or more; lambda of the paper.
        warmup_steps: Steps over which the perturbation grows from nothing to its full size; a
            network that is not robust yet needs some when it is fine-tuned.
        regularizers: Terms to add.
        seed: Seed of all random draws in training, such as the attack's starts.
        name: Name of the model.

    Raises:
        InputError: `beta` is negative.

    References:
        Wang et al., Improving Adversarial Robustness Requires Revisiting Misclassified Examples,
        ICLR 2020: the surrogate of the risk in Eq. 7; reference code, `mart.py`.

    Differs from the reference:
        The margin term has 1.0001 in place of 1, as the code has it; the weight is 1 - p_y, as in
        the paper (`lsp_keras.losses.mart`).
    """

    attack_options: ClassVar[Mapping[str, str]] = {"start": "gaussian"}

    def __init__(
        self,
        classifier: keras.Model,
        *,
        attack: Attack,
        beta: float = 5.0,
        warmup_steps: int = 0,
        regularizers: Sequence[Regularizer] = (),
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        check_positive("beta", beta, allow_zero=True)
        self.beta = beta
        super().__init__(
            classifier,
            attack=attack,
            warmup_steps=warmup_steps,
            regularizers=regularizers,
            seed=seed,
            name=name,
        )

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return mart_weights(self.beta)

    def compute_terms(self, batch: Batch, perturbed: tf.Tensor) -> tuple[Terms, Anchor]:
        clean_logits, anchor = self.clean_and_adversarial(batch, perturbed)
        return mart_terms(batch["labels"], clean_logits, anchor.logits), anchor

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {**super().get_config(), "beta": self.beta}
