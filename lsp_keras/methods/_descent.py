"""What a forward and backward pass of the training step comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from lsp_keras.regularizers import Anchor


@dataclass(frozen=True)
class Descent:
    """Result of one pass.

    Attributes:
        terms: Terms by name before they are weighted, each float32 `(batch,)`.
        anchor: The images trained on and their logits.
        loss: Loss of the batch, a scalar.
        gradients: Gradients of the loss on the optimizer's scale, one for each of the classifier's
            trainable variables; `None` where the loss does not depend on one.
    """

    terms: Mapping[str, tf.Tensor]
    anchor: Anchor
    loss: tf.Tensor
    gradients: Sequence[tf.Tensor | None]
