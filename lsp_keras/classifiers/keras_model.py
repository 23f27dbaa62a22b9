"""Reads a Keras model."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from lsp_keras.classifiers.answers import Answers, flat_rows
from lsp_keras.classifiers.classifier import Classifier
from lsp_keras.classifiers.endings import find_ending, is_graph
from lsp_keras.classifiers.function import read_function
from lsp_keras.classifiers.outputs import choose_output
from lsp_keras.classifiers.pixels import PixelRange, find_pixel_range
from lsp_keras.inference.precision import in_float32, precision_of
from lsp_keras.validation import InputError

_COLORS = (1, 3)


def read_keras(
    model: keras.Model,
    *,
    pixels: PixelRange | None,
    output: str | None,
    keep_precision: bool,
) -> Classifier:
    """The classifier that a Keras model is.

    Args:
        model: Keras model of any kind; what only its code tells of a subclassed one is left to a
            probe.
        pixels: Range of the pixels, where the user says it.
        output: Output to read, see `choose_output`.
        keep_precision: Whether to leave half precision as it is.

    Raises:
        InputError: It takes or answers something else than images and classes.
    """
    precision = precision_of(model)
    exact = model if keep_precision else in_float32(model)
    if is_graph(exact):
        found = _read_graph(exact, pixels=pixels, output=output)
    else:
        found = _read_opaque(exact, pixels=pixels, output=output)
    return Classifier(**{**vars(found), "precision": precision, "source": model})


def _read_graph(model: keras.Model, *, pixels: PixelRange | None, output: str | None) -> Classifier:
    images, tensor, name = _ends(model, output)
    plain = isinstance(model, keras.Sequential) or (
        isinstance(model.input, keras.KerasTensor) and isinstance(model.output, keras.KerasTensor)
    )
    graph = model if plain else keras.Model(images, tensor, name=model.name)
    layout = _layout(graph)
    pixels = pixels or find_pixel_range(graph)
    ending = find_ending(tensor)
    logits = tensor if ending is None else ending.tensor
    width = tensor.shape[-1] if len(tensor.shape) > 1 else 1
    one_unit = width == 1
    answers = None if ending is None else Answers(ending.kind, one_unit, True, name)
    read = graph if logits is tensor else keras.Model(images, logits, name=model.name)
    if ending is not None:
        read = _with_end(read, one_unit)
    if layout.changes or not pixels.is_unit:
        read = _with_front(read, layout, pixels)
    raw_model = _with_front(graph, layout, PixelRange()) if layout.changes else graph
    return Classifier(
        model=read,
        raw=lambda values: flat_rows(tf.cast(raw_model(values, training=False), tf.float32)),
        image_shape=layout.shape,
        pixels=pixels,
        answers=answers,
        classes=None if answers is None else 2 if one_unit else width,
        precision="float32",
        source=model,
    )


def _read_opaque(
    model: keras.Model, *, pixels: PixelRange | None, output: str | None
) -> Classifier:
    shape: Any = getattr(model, "input_shape", None)
    if shape is None and model.built:
        shape = (model.get_build_config() or {}).get("input_shape")
    known = isinstance(shape, tuple | list) and len(shape) == 4
    return read_function(
        lambda images: model(images, training=False),
        source=f"The model {model.name!r}",
        image_shape=tuple(shape[1:]) if known else (None, None, None),
        pixels=pixels,
        output=output,
        model=model,
    )


def _ends(model: keras.Model, output: str | None) -> tuple[Any, Any, str | None]:
    """Its symbolic images, the answers in it, and their name where there are several."""
    if len(model.inputs) != 1:
        names = ", ".join(str(tensor.name) for tensor in model.inputs)
        raise InputError(
            f"The model {model.name!r} has {len(model.inputs)} inputs ({names}), and an attack "
            "moves one batch of images. Pass a model of the images alone, with the others fixed: "
            "`keras.Model(images, model([images, constant]))`."
        )
    if isinstance(model, keras.Sequential):
        named = {model.name: model.outputs[0]}
    elif isinstance(model.output, dict):
        named = dict(model.output)
    else:
        named = dict(zip(model.output_names, model.outputs, strict=True))
    name = choose_output(f"The model {model.name!r}", list(named), output)
    return model.inputs[0], named[name], name if len(named) > 1 else None


class _Layout(NamedTuple):
    """How a model wants its images laid out.

    Attributes:
        shape: Shape of the images, `(height, width, channels)`.
        channels_first: Whether it takes `(channels, height, width)`.
        flat_channels: Whether it takes `(height, width)`.
        fixed_batch: Images that it takes at once, `None` for any number.
    """

    shape: tuple[int | None, ...]
    channels_first: bool
    flat_channels: bool
    fixed_batch: int | None

    @property
    def changes(self) -> bool:
        return self.channels_first or self.flat_channels or self.fixed_batch is not None


def _layout(model: keras.Model) -> _Layout:
    batch, *shape = model.inputs[0].shape
    if len(shape) == 2:
        return _Layout((*shape, 1), False, True, batch)
    if len(shape) != 3:
        raise InputError(
            f"The model {model.name!r} must take images `(batch, height, width, channels)`. It "
            f"takes {model.inputs[0].shape}."
        )
    first = shape[0] in _COLORS and shape[2] not in _COLORS
    return _Layout((*shape[1:], shape[0]) if first else tuple(shape), first, False, batch)


def _with_front(model: keras.Model, layout: _Layout, pixels: PixelRange) -> keras.Model:
    """The model of images in [0, 1], channels last, in batches of any size."""
    images = keras.Input(layout.shape, name="images")
    values = pixels.front(images)
    if layout.channels_first:
        values = keras.layers.Permute((3, 1, 2))(values)
    if layout.flat_channels:
        values = keras.layers.Reshape(layout.shape[:2])(values)
    if layout.fixed_batch is not None:
        model = _any_batch(model)
    return keras.Model(images, model(values), name=model.name)


def _any_batch(model: keras.Model) -> keras.Model:
    """The same layers on batches of any size."""
    inputs = keras.Input(model.inputs[0].shape[1:], name="images")
    graph = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    rebuilt: keras.Model = keras.models.clone_model(
        graph, input_tensors=inputs, clone_function=lambda layer: layer
    )
    return rebuilt


def _with_end(model: keras.Model, one_unit: bool) -> keras.Model:
    """The model with logits `(batch, classes)` in float32."""
    logits = model.outputs[0]
    rank = len(logits.shape)
    if rank == 2 and not one_unit:
        return model
    if any(size not in (1, None) for size in logits.shape[1:-1]):
        raise InputError(
            "The model must answer one row of classes for each image, `(batch, classes)`. "
            f"Received: shape={tuple(logits.shape)}."
        )
    if rank != 2:
        logits = keras.layers.Reshape((logits.shape[-1] if rank > 1 else 1,))(logits)
    if one_unit:
        nothing = keras.layers.Rescaling(0.0)(logits)
        logits = keras.layers.Concatenate(name="two_classes")([nothing, logits])
    return keras.Model(model.inputs[0], logits, name=model.name)
