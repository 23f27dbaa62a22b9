"""The one door: what any model takes and answers."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from lsp_keras.classifiers.answers import check_outputs
from lsp_keras.classifiers.classifier import Classifier
from lsp_keras.classifiers.endings import is_graph
from lsp_keras.classifiers.function import read_function
from lsp_keras.classifiers.keras_model import read_keras
from lsp_keras.classifiers.pixels import BYTES, PixelRange, parse_pixel_range, replace_source
from lsp_keras.classifiers.probe import probe
from lsp_keras.types import Floats, Integers
from lsp_keras.validation import InputError

Model: TypeAlias = Callable[..., Any]


def read(
    model: Model,
    *,
    pixel_range: PixelRange | str | None = None,
    output: str | None = None,
    keep_precision: bool = False,
) -> Classifier:
    """The classifier that a model is, as far as the model itself tells.

    Args:
        model: A Keras model of any kind, a `SavedModelClassifier`, a `RemoteClassifier`, or any
            function of images; a `Classifier` is returned as it is.
        pixel_range: What the model takes for pixels, such as `"0,255"`; see
            `parse_pixel_range`. Default: what its first layers or its name tell, else [0, 1].
        output: Name or place of the output that holds the classes, where there are several.
        keep_precision: Whether a model in half precision stays so; otherwise it is copied in
            float32.

    Raises:
        InputError: It takes or answers something else than images and classes.

    Example:
        >>> inputs = keras.Input((8, 8, 3))
        >>> values = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        >>> softmax = keras.layers.Dense(4, activation="softmax")
        >>> classifier = read(keras.Model(inputs, softmax(values)))
        >>> str(classifier.pixels), str(classifier.answers)
        ('[0, 255]', 'probabilities of a softmax')
    """
    if isinstance(model, Classifier):
        return model
    pixels = parse_pixel_range(pixel_range) if isinstance(pixel_range, str) else pixel_range
    if isinstance(model, keras.Model):
        return read_keras(model, pixels=pixels, output=output, keep_precision=keep_precision)
    takes_bytes = getattr(model, "takes_bytes", False)
    if takes_bytes:
        pixels = replace_source(BYTES, "it takes uint8")
    elif pixels is None and getattr(model, "class_names", None):
        pixels = PixelRange(source="written by `lsp-keras export`")
    shape = getattr(model, "input_shape", None) or (None, None, None, None)
    return read_function(
        model,
        source=str(getattr(model, "source", "The model")),
        image_shape=tuple(shape[1:]),
        pixels=pixels,
        output=output,
        has_gradients=not takes_bytes and getattr(model, "has_gradients", True),
        precision=getattr(model, "precision", "float32"),
        class_names=getattr(model, "class_names", None),
    )


def trainable(model: keras.Model | Classifier) -> keras.Model:
    """The model as trainers need it: images in [0, 1] to logits, on the same variables.

    Args:
        model: Model, of any form that `read` takes; its precision is kept.

    Raises:
        InputError: It is no Keras model, or cannot be read.
    """
    if isinstance(model, Classifier):
        model = model.keras_model or model.source
    if not isinstance(model, keras.Model):
        raise InputError(
            f"A trainer needs a Keras model. Received: {type(model).__name__}. A SavedModel and a "
            "function have no weights that it could train."
        )
    found = read(model, keep_precision=True)
    if found.answers is None and is_graph(model) and len(model.outputs[0].shape) != 2:
        check_outputs(np.zeros([size or 2 for size in model.outputs[0].shape]))
    trained: keras.Model = found.model
    return trained


def adapt(
    model: Model,
    images: Floats,
    labels: Integers | None = None,
    *,
    pixel_range: PixelRange | str | None = None,
    output: str | None = None,
) -> Classifier:
    """The classifier that a model is, read and probed.

    Args:
        model: Model, of any form that `read` takes.
        images: Images of which a sample is answered, float32 `(n, height, width, channels)` in
            [0, 1].
        labels: Labels, int `(n,)`, which let the range of the pixels be checked.
        pixel_range: Range of pixels that the model takes, such as `"0,255"`; default what it shows.
        output: Name or number of the output that classifies, for a model with several.

    Raises:
        InputError: See `read` and `probe`.
    """
    classifier = read(model, pixel_range=pixel_range, output=output)
    rows = sample_rows(len(images))
    return probe(classifier, images[rows], None if labels is None else labels[rows])


def sample_rows(count: int, most: int = 128) -> Integers:
    """Rows of a sample, spread evenly: a split may be in the order of its classes."""
    rows = np.linspace(0, count - 1, min(count, most)).round()
    return rows.astype(np.int64)
