"""A SavedModel as a classifier that can be attacked, gradients and all."""

from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from lsp_keras.storage import fingerprint
from lsp_keras.validation import InputError, listing

_FILE = "saved_model.pb"
_SIGNATURE = "serving_default"


class SavedModelClassifier:
    """Logits of a SavedModel's `serving_default`, as TensorFlow Serving would answer them.

    The signature must take one batch of float32 images and answer `logits`, `probabilities`,
    or a single float tensor.

    Args:
        folder: Holds `saved_model.pb`.

    Raises:
        InputError: It cannot be read, or its signature is another.
    """

    def __init__(self, folder: Path) -> None:
        try:
            # The loaded object owns the variables; without it they would be freed.
            self._loaded: Any = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{folder} could not be read as a SavedModel: {reason}") from error
        signatures = self._loaded.signatures
        if _SIGNATURE not in signatures:
            raise InputError(
                f"{folder} has no signature {_SIGNATURE}. It has: "
                f"{', '.join(sorted(signatures)) or 'none'}."
            )
        self._function = signatures[_SIGNATURE]
        self._input, spec = _image_input(folder, self._function)
        self._output = choose_output(str(folder), list(self._function.structured_outputs))
        self.input_shape = tuple(spec.shape)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """What the signature answers, `(batch, classes)`."""
        return self._function(**{self._input: images})[self._output]

    def count_params(self) -> int:
        """Number of weights."""
        return sum(int(tf.size(variable)) for variable in self._function.variables)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the weights."""
        weights = [variable.numpy() for variable in self._function.variables]
        return fingerprint([list(array.shape) for array in weights], *weights)


def find_saved_model(path: Path) -> Path | None:
    """The folder of a SavedModel: the path itself, or the newest version below it."""
    if (path / _FILE).is_file():
        return path
    versions = [item for item in path.glob("*/") if item.name.isdigit()]
    complete = [item for item in versions if (item / _FILE).is_file()]
    return max(complete, key=lambda item: int(item.name), default=None)


def choose_output(source: str, names: list[str]) -> str:
    """The output that holds logits, else probabilities, else the only one.

    Raises:
        InputError: None of these.
    """
    for name in ("logits", "probabilities"):
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise InputError(
        f"{source} must answer `logits` or `probabilities`. It answers {listing(sorted(names))}."
    )


def _image_input(folder: Path, function: Any) -> tuple[str, tf.TensorSpec]:
    inputs = function.structured_input_signature[1]
    (name, spec), *others = inputs.items()
    if others or spec.dtype != tf.float32 or spec.shape.rank != 4:
        found = ", ".join(f"{key}: {item.dtype.name} {item.shape}" for key, item in inputs.items())
        raise InputError(
            f"The signature {_SIGNATURE} of {folder} must take one batch of float32 images. "
            f"It takes {found}."
        )
    return name, spec
