"""Methods that minimize one loss of labels and logits, which may be any registered one."""

from typing import Any

import tensorflow as tf

from lsp_keras import registry
from lsp_keras.choices import LossChoice
from lsp_keras.methods._options import StepOptions
from lsp_keras.methods._trainer import RobustTrainer, Terms, Weights
from lsp_keras.validation import InputError

_CROSS_ENTROPY = "cross_entropy"


class CriterionTrainer(RobustTrainer):
    """What `standard` and `at` share: the loss of the images that they train on.

    Attributes:
        criterion: Name of a registered loss of labels and logits, or a mapping of its `name` and
            its settings; `None` is the cross-entropy, smoothed as the options say.
    """

    criterion: LossChoice | None = None

    def configure(self, options: StepOptions) -> None:
        if options.label_smoothing and self.criterion is not None:
            raise InputError(
                "Label smoothing is that of the cross-entropy. Leave it out, or leave out "
                f"criterion={self._name!r}."
            )
        super().configure(options)

    def term_weights(self, iteration: int | tf.Tensor) -> Weights:
        return {self._name: 1.0}

    @tf.autograph.experimental.do_not_convert
    def criterion_terms(self, labels: tf.Tensor, logits: tf.Tensor) -> Terms:
        """The loss under its name, float32 `(batch,)`."""
        if self.criterion is None:
            return {_CROSS_ENTROPY: self.cross_entropy(labels, logits)}
        return {self._name: registry.bound("loss", self.criterion)(labels, logits)}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        chosen = self.criterion if isinstance(self.criterion, str | None) else dict(self.criterion)
        return {**super().get_config(), "criterion": chosen}

    @property
    def _name(self) -> str:
        return _CROSS_ENTROPY if self.criterion is None else registry.split(self.criterion)[0]


def check_criterion(criterion: LossChoice | None) -> LossChoice | None:
    """The choice, if it is a loss of labels and logits.

    Raises:
        InputError: There is no such loss, or it needs something else.
    """
    if criterion is not None:
        registry.check_chosen("loss", registry.split(criterion)[0])
        registry.bound("loss", criterion)
    return criterion
