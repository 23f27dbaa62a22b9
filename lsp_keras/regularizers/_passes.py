"""How regularizers call the classifier: passes of their own, and its features with the logits."""

from collections.abc import Callable

import keras
import tensorflow as tf

from lsp_keras.regularizers._base import Outputs
from lsp_keras.validation import InputError


def training_pass(model: keras.Model, images: tf.Tensor) -> Outputs:
    """The model's outputs in training mode; BatchNorm's moving averages follow the images.

    Args:
        model: The classifier, or its `feature_model`.
        images: float32 `(batch, height, width, channels)`.
    """
    return _outputs(model, images, training=True)


def separate_pass(model: keras.Model, images: tf.Tensor) -> Outputs:
    """The model's outputs in training mode, normalized by these images' own statistics.

    BatchNorm's moving averages do not follow them.

    Args:
        model: The classifier, or its `feature_model`.
        images: float32 `(batch, height, width, channels)`.
    """
    # Assignments inside the scope, here those of the moving averages, are dropped with it.
    with keras.StatelessScope():
        return training_pass(model, images)


def inference_pass(model: keras.Model, images: tf.Tensor) -> Outputs:
    """The model's outputs in inference mode.

    Args:
        model: The classifier, or its `feature_model`.
        images: float32 `(batch, height, width, channels)`.
    """
    return _outputs(model, images, training=False)


# By the names that users choose among.
PASSES: dict[str, Callable[[keras.Model, tf.Tensor], Outputs]] = {
    "separate": separate_pass,
    "separate_update": training_pass,
    "inference": inference_pass,
}


def feature_model(classifier: keras.Model) -> keras.Model:
    """A model of the classifier's own layers whose outputs are `[features, logits]`.

    Features are what the last layer, a `Dense` one, reads: `(batch, units)`.

    Raises:
        InputError: The classifier is not functional or sequential, or its last layer is another.
    """
    last = classifier.layers[-1] if getattr(classifier, "outputs", None) else None
    if last is None:
        raise InputError(
            "The features before the last layer are needed, so the classifier must be a "
            f"functional or sequential Keras model with an input. Received: {classifier!r}."
        )
    if not isinstance(last, keras.layers.Dense) or last.output is not classifier.outputs[0]:
        raise InputError(
            "The features are the input of the last Dense layer, so the classifier must end with "
            f"one. Its last layer is {last.name!r} of type {type(last).__name__}."
        )
    return keras.Model(classifier.inputs[0], [last.input, last.output])


def _outputs(model: keras.Model, images: tf.Tensor, *, training: bool) -> Outputs:
    found = model(images, training=training)
    if isinstance(found, list | tuple):
        features, logits = found
        return Outputs(logits, features)
    return Outputs(found)
