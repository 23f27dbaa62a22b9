"""A SavedModel as a function of images, gradients and all."""

from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError, check_file, first_line

_FILE = "saved_model.pb"
_SIGNATURE = "serving_default"
_CLASS_NAMES = Path("assets/class_names.txt")
_LONGEST_FILE = 2**24
_TYPES = (tf.float32, tf.float16, tf.bfloat16, tf.float64, tf.uint8)


class SavedModelClassifier:
    """What a SavedModel's `serving_default` answers, as TensorFlow Serving would.

    The signature must take one batch of images, floats or uint8. One that takes a fixed number
    of images is called as often as needed. Images for uint8 are rounded, so that they have no
    gradient.

    Args:
        folder: Folder that holds `saved_model.pb`.

    Attributes:
        input_shape: Shape of a batch, `(None, height, width, channels)`.
        takes_bytes: Whether it takes uint8.
        precision: Name of the least precise type among its outputs.
        class_names: Names of the classes in label order, of a model that `lsp-keras export` wrote;
            else `None`.

    Raises:
        InputError: It cannot be read, or its signature is another.
    """

    def __init__(self, folder: Path) -> None:
        try:
            # The loaded object owns the variables; without it they would be freed.
            self._loaded: Any = tf.saved_model.load(str(folder))
        except Exception as error:  # Parsers of damaged bytes raise anything.
            reason = first_line(error)
            raise InputError(f"{folder} could not be read as a SavedModel: {reason}") from error
        signatures = self._loaded.signatures
        if _SIGNATURE not in signatures:
            raise InputError(
                f"{folder} has no signature {_SIGNATURE}. It has: "
                f"{', '.join(sorted(signatures)) or 'none'}."
            )
        self._function = signatures[_SIGNATURE]
        self._input, spec = _image_input(folder, self._function)
        self._type = spec.dtype
        self._batch = spec.shape[0]
        self.input_shape = (None, *spec.shape[1:])
        self.takes_bytes = spec.dtype == tf.uint8
        self.precision = _least_precise(self._function)
        self.class_names = _class_names(folder)

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the signature answers, each `(batch, ...)`."""
        if self.takes_bytes:
            images = tf.round(tf.clip_by_value(images, 0.0, 255.0))
        images = tf.cast(images, self._type)
        if self._batch is None:
            answers: dict[str, tf.Tensor] = self._function(**{self._input: images})
            return answers
        return self._in_batches(images, self._batch)

    def count_params(self) -> int:
        """Number of weights."""
        return sum(int(tf.size(variable)) for variable in self._function.variables)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the weights."""
        weights = [variable.numpy() for variable in self._function.variables]
        return fingerprint([list(array.shape) for array in weights], *weights)

    def _in_batches(self, images: tf.Tensor, size: int) -> dict[str, tf.Tensor]:
        """The answers to batches of a fixed size, the last one filled up with zeros."""
        count = tf.shape(images)[0]
        missing = -count % size
        filled = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        batches = tf.reshape(filled, [-1, size, *images.shape[1:]])
        kinds = {
            name: tf.TensorSpec(tensor.shape, tensor.dtype)
            for name, tensor in self._function.structured_outputs.items()
        }
        answers = tf.map_fn(
            lambda part: self._function(**{self._input: part}),
            batches,
            fn_output_signature=kinds,
        )
        return {
            name: tf.reshape(tensor, [-1, *tensor.shape[2:]])[:count]
            for name, tensor in answers.items()
        }


def find_saved_model(path: Path) -> Path | None:
    """The folder of a SavedModel: the path itself, or the newest version below it."""
    if (path / _FILE).is_file():
        return path
    names = (item for item in path.glob("*/") if item.name.isascii())
    versions = [item for item in names if item.name.isdigit()]
    complete = [item for item in versions if (item / _FILE).is_file()]
    return max(complete, key=lambda item: int(item.name), default=None)


def _image_input(folder: Path, function: Any) -> tuple[str, tf.TensorSpec]:
    inputs = function.structured_input_signature[1]
    (name, spec), *others = inputs.items()
    if others or spec.dtype not in _TYPES or spec.shape.rank != 4:
        found = ", ".join(f"{key}: {item.dtype.name} {item.shape}" for key, item in inputs.items())
        raise InputError(
            f"The signature {_SIGNATURE} of {folder} must take one batch of float32 or uint8 "
            f"images `(batch, height, width, channels)`. It takes {found}."
        )
    return name, spec


def _least_precise(function: Any) -> str:
    types = {tensor.dtype.name for tensor in function.structured_outputs.values()}
    return next((name for name in ("bfloat16", "float16") if name in types), "float32")


def _class_names(folder: Path) -> tuple[str, ...] | None:
    file = folder / _CLASS_NAMES
    if not file.is_file():
        return None
    check_file(file, _LONGEST_FILE)
    try:
        return tuple(file.read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise InputError(f"{file} cannot be read: it is no text in UTF-8.") from error
