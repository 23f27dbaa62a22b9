"""How regularizers call the classifier: passes of their own, and its features with the logits."""

from collections.abc import Callable

import keras
import tensorflow as tf

from lsp_keras.classifiers.features import feature_model
from lsp_keras.regularizers._base import Outputs


def training_pass(model: keras.Model, images: tf.Tensor) -> Outputs:
    """The model's outputs in training mode; BatchNorm's moving averages follow the images.

    Args:
        model: The classifier, or its `feature_model`.
        images: Images, float32 `(batch, height, width, channels)`.
    """
    return _outputs(model, images, training=True)


def separate_pass(model: keras.Model, images: tf.Tensor) -> Outputs:
    """The model's outputs in training mode, normalized by these images' own statistics.

    BatchNorm's moving averages do not follow them.

    Args:
        model: The classifier, or its `feature_model`.
        images: Images, float32 `(batch, height, width, channels)`.
    """
    # Assignments inside the scope, here those of the moving averages, are dropped with it.
    with keras.StatelessScope():
        return training_pass(model, images)


def inference_pass(model: keras.Model, images: tf.Tensor) -> Outputs:
    """The model's outputs in inference mode.

    Args:
        model: The classifier, or its `feature_model`.
        images: Images, float32 `(batch, height, width, channels)`.
    """
    return _outputs(model, images, training=False)


__all__ = ["PASSES", "feature_model", "inference_pass", "separate_pass", "training_pass"]

# By the names that users choose among.
PASSES: dict[str, Callable[[keras.Model, tf.Tensor], Outputs]] = {
    "separate": separate_pass,
    "separate_update": training_pass,
    "inference": inference_pass,
}


def _outputs(model: keras.Model, images: tf.Tensor, *, training: bool) -> Outputs:
    found = model(images, training=training)
    if isinstance(found, list | tuple):
        features, logits = found
        return Outputs(logits, features)
    return Outputs(found)
