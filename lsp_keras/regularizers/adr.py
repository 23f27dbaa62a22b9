"""Adversarial divergence reduction: adversarial images keep the features of the clean ones."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from lsp_keras.losses.confidence import confidence
from lsp_keras.losses.global_compactness import global_compactness
from lsp_keras.losses.local_compactness import local_compactness
from lsp_keras.losses.smoothness import smoothness
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.regularizers._base import Step
from lsp_keras.regularizers._pairs import PairRegularizer
from lsp_keras.regularizers._passes import feature_model, separate_pass
from lsp_keras.validation import InputError, check_positive

__all__ = ["ADR"]


class ADR(PairRegularizer):
    """Adds four terms that compare each clean image with its adversarial version.

    On the features z that the last `Dense` layer reads, and the predictions p; the clean side is
    fixed in the first three:

    - `local`: mean |z - z'|.
    - `global`: the same over all pairs of a batch, with weight 1 within a class and 1 - 1 / 0.99
      between two.
    - `smoothness`: cross-entropy of p' against p.
    - `confidence`: entropy of p'.

    Adversarial images are the method's own where it makes some (`at`), else those of PGD on the
    cross-entropy. Clean and adversarial images pass the classifier in training mode, each
    normalized by their own statistics; the moving averages follow the method's images alone.

    A fifth term, `counterpart`, is the cross-entropy of the pair's other image less that of the
    image the method trains on, for methods that minimize the plain cross-entropy of one of them
    (`standard`, `at`). The published loss, 0.5 CE(x) + 0.5 CE(x') + the four terms, is::

        ATTrainer(
            classifier,
            attack=PGD(epsilon="8/255", step_size="2/255", num_steps=10),
            regularizers=[ADR(counterpart_share=0.5)],
        )

    since CE(x') + 0.5 (CE(x) - CE(x')) is the mean of the two; with `StandardTrainer` it is the
    same loss and the moving averages follow the clean images.

    Args:
        weight: Factor of all four terms; 0 only measures.
        local_weight: Factor of the local compactness, relative to `weight`.
        global_weight: Factor of the global compactness, relative to `weight`.
        smoothness_weight: Factor of the smoothness, relative to `weight`.
        confidence_weight: Factor of the confidence, relative to `weight`.
        counterpart_share: Share of the method's cross-entropy that moves to the pair's other image,
            in [0, 1]; it is not scaled by `weight`.
        epsilon: L-inf radius of the attack on the [0, 1] scale, a number or text; for methods that
            make no adversarial images.
        step_size: Length of the attack's step, default `2.5 * epsilon / num_steps` and at most
            `epsilon`.
        num_steps: Steps of the attack.
        name: First part of the terms' names in the logs, as in `adr_local`.

    Raises:
        InputError: A value is out of its range, or the classifier does not end with a `Dense`
            layer.

    Example:
        >>> ADR(weight=2.0, confidence_weight=0.5).term_weights(0)["adr_confidence"]
        1.0

    References:
        Bui et al., Improving Adversarial Robustness by Enforcing Local and Global Compactness,
        ECCV 2020.

    Differs from the reference:
        Its code also has a smoothness term over all pairs, which the published settings weigh
        with 0. BatchNorm's moving averages follow both images of a pair there.
    """

    def __init__(
        self,
        *,
        weight: float = 1.0,
        local_weight: float = 1.0,
        global_weight: float = 1.0,
        smoothness_weight: float = 1.0,
        confidence_weight: float = 1.0,
        counterpart_share: float = 0.0,
        epsilon: float | str = "8/255",
        step_size: float | str | None = None,
        num_steps: int = 10,
        name: str = "adr",
    ) -> None:
        super().__init__(epsilon=epsilon, step_size=step_size, num_steps=num_steps, name=name)
        self.weight = weight
        self.local_weight = local_weight
        self.global_weight = global_weight
        self.smoothness_weight = smoothness_weight
        self.confidence_weight = confidence_weight
        self.counterpart_share = counterpart_share
        for option in ("weight", *(f"{term}_weight" for term in _TERMS)):
            check_positive(option, getattr(self, option), allow_zero=True)
        if not 0 <= counterpart_share <= 1:
            raise InputError(
                f"`counterpart_share` must be in [0, 1]. Received: {counterpart_share!r}."
            )

    @property
    def uses_whole_batch(self) -> bool:
        """Whether the global term counts, which pairs all images of the batch."""
        return bool(self.weight * self.global_weight)

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        weights = {term: self.weight * getattr(self, f"{term}_weight") for term in _TERMS}
        return self._named({**weights, "counterpart": self.counterpart_share})

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        adversarial, from_method = step.prepared[self.name]
        labels, model = step.batch["labels"], feature_model(step.classifier)
        # Features (batch, units) and logits (batch, classes) of both images of each pair.
        clean_logits, clean_features = separate_pass(model, step.batch["images"])
        logits, features = separate_pass(model, adversarial)
        # CE(x') - CE(x): taken from the image that the method trains on, given to the other one.
        gap = _cross_entropy(labels, logits) - _cross_entropy(labels, clean_logits)
        return self._named(
            {
                "local": local_compactness(clean_features, features),
                "global": global_compactness(labels, clean_features, features),
                "smoothness": smoothness(clean_logits, logits),
                "confidence": confidence(logits),
                "counterpart": -gap if from_method else gap,
            }
        )

    def _named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {f"{self.name}_{term}": value for term, value in values.items()}


_TERMS = ("local", "global", "smoothness", "confidence")


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return cross_entropy(labels, tf.cast(logits, tf.float32))
