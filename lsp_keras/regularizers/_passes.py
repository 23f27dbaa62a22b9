"""How regularizers call the classifier: passes of their own, and its features with the logits."""

from typing import Any

import keras
import tensorflow as tf

from lsp_keras.validation import InputError


def separate_pass(model: keras.Model, images: tf.Tensor) -> Any:
    """The model's outputs in training mode, normalized by these images' own statistics.

    BatchNorm's moving averages do not follow them.

    Args:
        model: The classifier, or another model of its layers.
        images: float32 `(batch, height, width, channels)`.
    """
    # Assignments inside the scope, here those of the moving averages, are dropped with it.
    with keras.StatelessScope():
        return model(images, training=True)


def feature_model(classifier: keras.Model) -> keras.Model:
    """A model of the classifier's own layers whose outputs are `[features, logits]`.

    Features are what the last layer, a `Dense` one, reads: `(batch, units)`.

    Raises:
        InputError: The classifier is not functional or sequential, or its last layer is another.
    """
    last = classifier.layers[-1] if getattr(classifier, "outputs", None) else None
    if last is None:
        raise InputError(
            "ADR reads the features before the last layer, so the classifier must be a "
            f"functional or sequential Keras model with an input. Received: {classifier!r}."
        )
    if not isinstance(last, keras.layers.Dense) or last.output is not classifier.outputs[0]:
        raise InputError(
            "ADR reads the input of the last Dense layer, so the classifier must end with one. "
            f"Its last layer is {last.name!r} of type {type(last).__name__}."
        )
    return keras.Model(classifier.inputs[0], [last.input, last.output])
