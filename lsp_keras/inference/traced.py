"""A model traced once for all that is done with it."""

from functools import cached_property

import tensorflow as tf

from lsp_keras.inference.folding import folded
from lsp_keras.inference.logits import LogitsFn, inference_logits
from lsp_keras.inference.precision import in_full_precision
from lsp_keras.inference.row_function import RowFunction


class TracedModel:
    """What attacks need of a model: its own answers, and the same model in the form to attack.

    Whoever runs several attacks on a model makes one of these and gives it to each in the
    model's place: the model is then folded once, and each attack's graph calls what was traced
    instead of tracing all layers anew.

    Args:
        logits_fn: A Keras model, called with `training=False`, or images -> logits.
        image_shape: Shape of an image, `(height, width, channels)`.
    """

    def __init__(self, logits_fn: LogitsFn, image_shape: tuple[int, ...]) -> None:
        self._logits_fn = logits_fn
        self.images = tf.TensorSpec([None, *image_shape], tf.float32)

    @cached_property
    def predict(self) -> RowFunction:
        """The model's own answers, by which all success is judged."""
        function = tf.function(inference_logits(self._logits_fn), autograph=False)
        return RowFunction(function.get_concrete_function(self.images))

    @cached_property
    def attacked(self) -> LogitsFn:
        """The model in full precision with its batch normalizations folded, as a graph."""
        logits_fn = inference_logits(folded(in_full_precision(self._logits_fn)))
        function: LogitsFn = tf.function(logits_fn, input_signature=[self.images], autograph=False)
        return function
