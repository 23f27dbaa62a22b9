"""The classifier's own layers, arranged for the passes of a training step."""

import functools

import keras

from lsp_keras.inference.folding import folded
from lsp_keras.inference.fused import fused
from lsp_keras.regularizers._passes import feature_model


class Networks:
    """Faster forms of one classifier, equal to it up to rounding and made when first used.

    They call its layers and read and write its variables. No Keras object: a trainer that holds
    it neither saves nor counts its layers twice.

    Args:
        classifier: A Keras model.
        faster: Whether to use them; else every form is the classifier.
    """

    def __init__(self, classifier: keras.Model, *, faster: bool = True) -> None:
        self._classifier = classifier
        self._faster = faster

    @functools.cached_property
    def training(self) -> keras.Model:
        """For passes in training mode: batch normalizations by fused kernels."""
        return fused(self._classifier) if self._faster else self._classifier

    @functools.cached_property
    def features(self) -> keras.Model:
        """As `training`, with outputs `[features, logits]`."""
        return feature_model(self.training)

    @functools.cached_property
    def attacked(self) -> keras.Model:
        """For attacks, in inference mode: batch normalizations folded into convolutions."""
        return folded(self._classifier) if self._faster else self._classifier
