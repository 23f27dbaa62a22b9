"""Latent feature relation consistency: an attack must not change who resembles whom."""

from collections.abc import Mapping

import tensorflow as tf

from lsp_keras.losses.relation import relation_loss
from lsp_keras.regularizers._base import Outputs, Step
from lsp_keras.regularizers._pairs import PairRegularizer
from lsp_keras.regularizers._passes import feature_model, separate_pass
from lsp_keras.validation import check_positive

__all__ = ["LFRC"]


class LFRC(PairRegularizer):
    """Adds `weight * relation_loss` on the features that the last `Dense` layer reads.

    Adversarial images are the method's own where it makes some (`at`), else those of PGD on the
    cross-entropy. Features that the method's passes gave are used again; others come from a pass
    in training mode, normalized by its own images' statistics, and the moving averages do not
    follow it.

    Args:
        weight: Factor of the term; 0 only measures.
        epsilon: L-inf radius of the attack on the [0, 1] scale, a number or text; for methods that
            make no adversarial images.
        step_size: Length of the attack's step, default `2.5 * epsilon / num_steps` and at most
            `epsilon`.
        num_steps: Steps of the attack.
        name: Name of the term in the logs.

    Raises:
        InputError: A value is out of its range, or the classifier does not end with a `Dense`
            layer.

    Example:
        >>> LFRC(weight=50.0).term_weights(0)
        {'lfrc': 50.0}

    References:
        Liu et al., Latent Feature Relation Consistency for Adversarial Robustness, 2023, arXiv
        2303.16697; github.com/liuxingbin/LFRC, `train_lfrc.py`: weight 100.

    Differs from the reference:
        There the moving averages follow the clean images too.
    """

    uses_features = True

    def __init__(
        self,
        *,
        weight: float = 100.0,
        epsilon: float | str = "8/255",
        step_size: float | str | None = None,
        num_steps: int = 10,
        name: str = "lfrc",
    ) -> None:
        super().__init__(epsilon=epsilon, step_size=step_size, num_steps=num_steps, name=name)
        check_positive("weight", weight, allow_zero=True)
        self.weight = weight

    @property
    def uses_whole_batch(self) -> bool:
        """The term pairs all images of the batch."""
        return bool(self.weight)

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        return {self.name: self.weight}

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        (adversarial, _), anchor = step.prepared[self.name], step.anchor
        known = Outputs(anchor.logits, anchor.features) if adversarial is anchor.images else None
        clean = _features(step, step.clean, step.batch["images"])
        attacked = _features(step, known, adversarial)
        return {self.name: relation_loss(clean, attacked)}


def _features(step: Step, known: Outputs | None, images: tf.Tensor) -> tf.Tensor:
    """Of images, by a pass of their own where the method's passes left none."""
    if known is not None and known.features is not None:
        return known.features
    return separate_pass(feature_model(step.classifier), images).features
