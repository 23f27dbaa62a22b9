"""Reads a function of images."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from lsp_keras.classifiers.answers import flat_rows
from lsp_keras.classifiers.classifier import Classifier
from lsp_keras.classifiers.outputs import pick
from lsp_keras.classifiers.pixels import PixelRange


def read_function(
    function: Callable[[tf.Tensor], Any],
    *,
    source: str,
    image_shape: tuple[int | None, ...],
    pixels: PixelRange | None,
    output: str | None,
    model: Any | None = None,
    has_gradients: bool = True,
    precision: str = "float32",
    class_names: tuple[str, ...] | None = None,
) -> Classifier:
    """The classifier that a function is; what it answers is left to a probe.

    Args:
        function: Images to a tensor, or to several in a dictionary or list.
        source: Names it in errors.
        image_shape: Shape of an image, `(height, width, channels)`, `None` for what is unknown.
        pixels: Range of the pixels, where it is known.
        output: Output to read, see `choose_output`.
        model: What the function belongs to.
        has_gradients: Whether it can be differentiated.
        precision: Type that it computes in.
        class_names: Names of the classes in label order, where the function knows them.
    """
    pixels = pixels or PixelRange()

    def raw(images: tf.Tensor) -> tf.Tensor:
        tensor, _ = pick(source, function(images), output)
        return flat_rows(tf.cast(tensor, tf.float32))

    return Classifier(
        model=function if model is None else model,
        raw=raw,
        image_shape=image_shape,
        pixels=pixels,
        answers=None,
        classes=None,
        precision=precision,
        source=function if model is None else model,
        class_names=class_names,
        has_gradients=has_gradients,
    )
