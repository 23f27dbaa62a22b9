"""Classifiers that a run starts from: anyone's architecture, anyone's weights."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lsp_keras.classifiers import (
    PixelRange,
    feature_model,
    find_file,
    load_keras,
    probe,
    read,
    sample_rows,
)
from lsp_keras.classifiers.endings import is_graph
from lsp_keras.classifiers.pixels import find_pixel_range
from lsp_keras.places import MODEL_SUFFIXES
from lsp_keras.runs.settings.units import is_foreign
from lsp_keras.runs.users_code import find_in_module
from lsp_keras.types import Dataset, DatasetInfo
from lsp_keras.validation import InputError, first_line, listing, nearest
from lsp_keras.zoo import PREFIX

Announce = Callable[[str], None]

_COLORS = 3
# Of batches of images.
_RANK = 4


def build_foreign(name: str, info: DatasetInfo, *, seed: int, pixel_range: str | None) -> Any:
    """A classifier of a dataset's images, from what is none of the registry's models.

    Args:
        name: A run or a file of Keras, `"zoo:NAME"`, `"module:function"`, `"applications:NAME"` of
            keras.applications, or `"hub:PRESET"` of keras-hub.
        info: Facts about the dataset.
        seed: Seed of the weights that are new.
        pixel_range: Range of pixels that the model takes, such as `"0,255"`; default what it shows.

    Returns:
        Model from images in [0, 1] to logits, one for each class.

    Raises:
        InputError: There is no such model, or it does not take the dataset's images.
    """
    scheme, separator, rest = name.partition(":")
    keras.utils.set_random_seed(seed)
    if separator and scheme == "applications":
        return _application(rest, info, seed)
    if separator and scheme == "hub":
        return _hub(rest, info, seed)
    if separator and not name.startswith(PREFIX) and not name.endswith(MODEL_SUFFIXES):
        model = _called(scheme, rest, info, seed)
    else:
        model = load_keras(find_file(Path(name)))
    return fit_to(model, info, seed=seed, pixel_range=pixel_range)


def fit_to(
    model: Any, info: DatasetInfo, *, seed: int = 0, pixel_range: str | PixelRange | None = None
) -> keras.Model:
    """The model for a dataset's images, with a new last layer where the classes differ.

    Args:
        model: Model, of any form that `lsp_keras.classifiers.read` takes.
        info: Facts about the dataset.
        seed: Seed of the new layer's weights.
        pixel_range: Range of pixels that the model takes, such as `"0,255"`; default what it shows.

    Raises:
        InputError: It takes images of another shape, or has no last Dense layer to replace.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"A run trains a Keras model. Received: {type(model).__name__}.")
    found = read(model, pixel_range=pixel_range, keep_precision=True)
    height, width, channels = found.image_shape
    shape = tuple(
        size or own for size, own in zip((height, width, channels), info.image_shape, strict=True)
    )
    if shape != tuple(info.image_shape):
        raise InputError(
            f"The model takes images of {_shape(shape)}, and those of {info.name} are "
            f"{_shape(info.image_shape)}. Resize them."
        )
    classifier: keras.Model = found.model
    if None in found.image_shape or not is_graph(classifier):
        images = keras.Input(info.image_shape, name="images")
        classifier = keras.Model(images, classifier(images), name=model.name)
    if classifier.output_shape[-1] == info.num_classes:
        return classifier
    features = feature_model(classifier).outputs[0]
    return keras.Model(
        classifier.inputs[0], _head(features, info.num_classes, seed), name=model.name
    )


def file_shape(name: str) -> tuple[int | None, int | None, int | None]:
    """Height, width and channels that the model in a file takes.

    Args:
        name: Name of a run's model.

    Returns:
        `None` for what is open, and for a model that is in no file, or in none any more.
    """
    is_file = name.startswith(PREFIX) or ":" not in name or name.endswith(MODEL_SUFFIXES)
    if not (is_foreign(name) and is_file):
        return None, None, None
    try:
        shape = getattr(load_keras(find_file(Path(name))), "input_shape", None)
    except InputError:
        # Told where the model is needed: a run that goes on has its weights.
        return None, None, None
    if not isinstance(shape, tuple) or len(shape) != _RANK or shape[-1] not in (1, _COLORS):
        return None, None, None
    return shape[1:]


def check_start(
    classifier: keras.Model, dataset: Dataset, announce: Announce, *, range_is_given: bool = False
) -> None:
    """Looks whether a trained classifier is right on the training images, and says how often.

    Args:
        classifier: Classifier that `build_foreign` made, with its own classes.
        dataset: Dataset to train on.
        announce: Function that is called with a sentence.
        range_is_given: Whether the user says what its pixels are, which then is not doubted.

    Raises:
        InputError: It would be right much more often with pixels in another range.
    """
    rows = sample_rows(len(dataset.train))
    trained = dataset.train.select(rows).as_floats()
    images, labels = trained.images, trained.labels
    # What was read is probed as a stranger's: a layer in front of it proves nothing.
    stranger = replace(read(classifier), pixels=PixelRange())
    found = probe(stranger, images, None if range_is_given else labels)
    right = np.mean(np.argmax(np.asarray(found(images)), axis=1) == labels)
    announce(f"The model starts right on {right:.1%} of {len(rows)} training images.")


def take_weights(classifier: keras.Model, path: Path | str, announce: Announce) -> None:
    """Gives a classifier the weights of another one, wherever names and shapes agree.

    Args:
        classifier: Classifier that gets the weights.
        path: A run, a file of Keras, or a file of weights alone (`.weights.h5`) of this
            architecture or of the model within it.
        announce: Function that is called with a sentence that says how many.

    Raises:
        InputError: The file cannot be read, or not one weight fits.
    """
    path = Path(path)
    if path.name.endswith(".weights.h5") or _is_weights_alone(path):
        _load_weights(classifier, path)
        announce(f"All weights of {path} were taken.")
        return
    theirs = load_keras(find_file(path))
    own, other = _by_place(classifier), _by_place(theirs)
    taken = [key for key, value in own.items() if key in other and value.shape == other[key].shape]
    if not taken:
        raise InputError(
            f"No weight of {path} fits the model: no layer has the same name and shape. "
            "Build the model with the same settings."
        )
    for key in taken:
        own[key].assign(other[key])
    new = [key for key in own if key not in taken]
    rest = f"; new are {', '.join(new[:4])}{' and others' if len(new) > 4 else ''}" if new else ""
    announce(f"{len(taken)} of {len(own)} weights were taken from {path}{rest}.")


def _application(name: str, info: DatasetInfo, seed: int) -> keras.Model:
    build = getattr(keras.applications, name, None)
    if not inspect.isfunction(build):
        names = [key for key, value in vars(keras.applications).items() if key[:1].isupper()]
        raise InputError(
            f"keras.applications has no model {name!r}.{nearest(name, names)} It has "
            f"{listing(sorted(names))}."
        )
    height, width, channels = info.image_shape
    try:
        base = build(
            weights=None, include_top=False, input_shape=(height, width, _COLORS), pooling="avg"
        )
    except ValueError as error:
        raise InputError(f"{name} does not take images of {height}x{width}: {error}") from error
    images = keras.Input(info.image_shape, name="images")
    colored = images if channels == _COLORS else keras.layers.Concatenate()([images] * _COLORS)
    features = base(find_pixel_range(base).front(colored))
    return keras.Model(images, _head(features, info.num_classes, seed), name=f"{base.name}_run")


def _hub(preset: str, info: DatasetInfo, seed: int) -> keras.Model:
    try:
        import keras_hub
    except ImportError as error:
        raise InputError(
            "Models of keras-hub need the package: pip install 'lsp-keras[hub]'."
        ) from error
    try:
        backbone = keras_hub.models.Backbone.from_preset(preset)
    except (ValueError, OSError) as error:
        raise InputError(f"keras-hub could not load {preset!r}: {first_line(error)}") from error
    images = keras.Input(info.image_shape, name="images")
    values = _hub_range(keras_hub, preset).front(images)
    features = backbone(values)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(dtype="float32", name="features")(features)
    elif len(features.shape) == 3:
        features = features[:, 0]
    return keras.Model(images, _head(features, info.num_classes, seed), name=backbone.name)


def _hub_range(keras_hub: Any, preset: str) -> PixelRange:
    """What the preset's own preprocessing makes of bytes."""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except (ValueError, OSError):
        return PixelRange((0.0,), (255.0,), source="keras-hub")
    scale = np.atleast_1d(1.0 if converter.scale is None else converter.scale).ravel()
    offset = np.atleast_1d(0.0 if converter.offset is None else converter.offset).ravel()
    low, span = np.broadcast_arrays(offset, scale * 255.0)
    return PixelRange(tuple(low.tolist()), tuple((low + span).tolist()), source="keras-hub")


def _called(module: str, function: str, info: DatasetInfo, seed: int) -> Any:
    """What the user's function returns; it gets those arguments that it names."""
    build = find_in_module(module, function, kind="function")
    given = {
        "num_classes": info.num_classes,
        "input_shape": tuple(info.image_shape),
        "seed": seed,
    }
    known = inspect.signature(build).parameters
    return build(**{name: value for name, value in given.items() if name in known})


def _head(features: Any, num_classes: int, seed: int) -> Any:
    if len(features.shape) != 2:
        raise InputError(f"The model's features must be `(batch, n)`. Received: {features.shape}.")
    return keras.layers.Dense(
        num_classes,
        dtype="float32",
        kernel_initializer=keras.initializers.VarianceScaling(
            1 / 3, "fan_in", "uniform", seed=seed
        ),
        name="logits",
    )(features)


def _by_place(model: keras.Model) -> dict[str, Any]:
    """Variables by the names of their layer and of themselves, counted where they repeat."""
    found: dict[str, Any] = {}
    for layer in model._flatten_layers():
        if any(True for _ in layer._flatten_layers(include_self=False, recursive=False)):
            continue
        for variable in layer.variables:
            key = f"{layer.name}/{variable.name}"
            count = sum(other.partition("#")[0] == key for other in found)
            found[f"{key}#{count}" if count else key] = variable
    return found


def _is_weights_alone(path: Path) -> bool:
    if path.suffix not in (".h5", ".hdf5") or not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path) as file:
            return "model_config" not in file.attrs
    # What HDF5 says of a damaged file has no number and several lines.
    except Exception as error:
        raise InputError(f"{path} cannot be read as a file of HDF5: {first_line(error)}") from error


def _load_weights(classifier: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    inner = [layer for layer in classifier.layers if isinstance(layer, keras.Model)]
    reasons = []
    for model in (*inner, classifier):
        try:
            model.load_weights(path)
        # HDF5 and Keras pass on whatever the bytes of a damaged file lead to.
        except Exception as error:
            reasons.append(first_line(error))
        else:
            return
    raise InputError(f"The weights of {path} fit neither the model nor one within: {reasons[0]}")


def _shape(shape: tuple[Any, ...]) -> str:
    return "x".join(map(str, shape))
