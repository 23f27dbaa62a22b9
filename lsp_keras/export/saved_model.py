"""Writes a classifier as a SavedModel that TensorFlow Serving loads."""

import contextlib
import functools
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.export.model_card import write_card
from lsp_keras.export.options import ExportOptions
from lsp_keras.export.precision import to_float16
from lsp_keras.export.preprocessing import (
    check_batch_size,
    check_pixels,
    decode_images,
    encoded_images,
    scale_pixels,
)
from lsp_keras.export.versions import choose_version
from lsp_keras.export.warmup import write_warmup
from lsp_keras.storage import atomic_path
from lsp_keras.validation import InputError, check_shape

CLASS_NAMES_FILE = "class_names.txt"
CLASSIFY = "classify"
CLASSIFY_METHOD = "tensorflow/serving/classify"


class ServedClassifier(tf.Module):
    """The signatures around a classifier.

    Args:
        model: [0, 1] images `(batch, height, width, channels)` in, logits `(batch, k)` out.
        class_names: One for each logit.
        assets: Existing folder with the file of class names, copied into the SavedModel.
        options: XLA and the largest batch.
    """

    def __init__(
        self, model: keras.Model, class_names: Sequence[str], assets: Path, options: ExportOptions
    ) -> None:
        super().__init__(name="served_classifier")
        self._image_shape = tuple(model.input_shape[1:])
        # Only the classifier is compiled: XLA knows neither strings nor assertions.
        self._predict = tf.function(
            functools.partial(model, training=False), jit_compile=options.xla or None
        )
        # The TensorFlow variables themselves: a Keras object would be saved with functions of
        # its own that no client calls.
        self.model_variables = [variable.value for variable in model.variables]
        self.class_names_file = tf.saved_model.Asset(str(assets / CLASS_NAMES_FILE))
        self._class_names = tuple(class_names)
        self._max_batch_size = options.max_batch_size

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """What clients can call, by name."""
        shape = (None, *self._image_shape)
        return {
            "serving_default": self._trace(self._from_floats, shape, tf.float32, "images"),
            "serving_uint8": self._trace(self._from_uint8, shape, tf.uint8, "images"),
            "serving_bytes": self._trace(self._from_bytes, (None,), tf.string, "image_bytes"),
            CLASSIFY: self._trace(self._classify, (None,), tf.string, "inputs"),
        }

    def _trace(
        self,
        function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
        shape: tuple[int | None, ...],
        dtype: tf.DType,
        name: str,
    ) -> tf.types.experimental.ConcreteFunction:
        def checked(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return function(check_batch_size(inputs, self._max_batch_size))

        return tf.function(checked).get_concrete_function(tf.TensorSpec(shape, dtype, name))

    def _from_floats(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._outputs(check_pixels(images))

    def _from_uint8(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._outputs(scale_pixels(images))

    def _from_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._outputs(decode_images(image_bytes, self._image_shape))

    def _classify(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self._from_bytes(encoded_images(examples))
        labels = tf.tile([self._class_names], [tf.shape(examples)[0], 1])
        return {"classes": labels, "scores": outputs["probabilities"]}

    def _outputs(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        # A server cannot write half-precision numbers as JSON, so all outputs are float32.
        logits = tf.cast(self._predict(images), tf.float32)
        classes = tf.argmax(logits, axis=-1)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "classes": classes,
            "class_names": tf.gather(tf.constant(self._class_names), classes),
        }


def export_model(
    model: keras.Model,
    base_path: Path | str,
    *,
    class_names: Sequence[str],
    version: int | None = None,
    options: ExportOptions | None = None,
    card: Mapping[str, Any] | None = None,
) -> Path:
    """Writes `base_path/VERSION` in the layout that TensorFlow Serving reads.

    The SavedModel has these signatures, each for any batch size:
    `serving_default` takes `images` as float32 in [0, 1], `serving_uint8` takes `images` as
    uint8, `serving_bytes` takes `image_bytes`, encoded PNG or JPEG files. All three answer
    `logits` and `probabilities` `(batch, k)`, `classes` (int64 `(batch,)`, the most probable
    label) and `class_names` (string `(batch,)`, its name). `classify` takes `tf.Example`s with
    the feature `image/encoded` and answers all names with their probabilities, for the classify
    calls of REST and gRPC. Pixels outside [0, 1] are an error, not a class.

    The folder also holds requests that warm the model up and, if given, its card.

    Args:
        model: Classifier with one input, `(height, width, channels)` in [0, 1], and logits out.
        base_path: Folder of the model; its name is the model's name when it is served.
        class_names: One for each logit, in label order.
        version: A positive integer; default the one after the newest version there.
        options: Precision, XLA, largest batch.
        card: From `lsp_keras.export.make_card`.

    Returns:
        The new version's folder. It appears complete or not at all.

    Raises:
        InputError: The model is no image classifier, the names do not fit, the version exists.

    Example:
        >>> export_model(model, "models/svhn", class_names=list("0123456789"))  # doctest: +SKIP
        PosixPath('models/svhn/1')
    """
    _check_classifier(model, class_names)
    options = options or ExportOptions()
    folder = choose_version(Path(base_path), version)
    model = to_float16(model) if options.float16 else model
    with atomic_path(folder) as temporary:
        _save(model, class_names, options, temporary)
        write_warmup(temporary, tuple(model.input_shape[1:]), Path(base_path).resolve().name)
        if card is not None:
            write_card(temporary, card)
    return folder


def _save(
    model: keras.Model, class_names: Sequence[str], options: ExportOptions, folder: Path
) -> None:
    with tempfile.TemporaryDirectory() as assets:
        names = "".join(f"{name}\n" for name in class_names)
        (Path(assets) / CLASS_NAMES_FILE).write_text(names, encoding="utf-8")
        module = ServedClassifier(model, class_names, Path(assets), options)
        # TensorFlow prints the folder it wrote to, which is the temporary one.
        with contextlib.redirect_stdout(io.StringIO()):
            tf.saved_model.save(module, str(folder), signatures=module.signatures())
    # TensorFlow marks every signature as one for predict; servers may look at the mark.
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    updater.replace_method_name(CLASSIFY, CLASSIFY_METHOD, tags="serve")
    updater.save(str(folder))


def _check_classifier(model: keras.Model, class_names: Sequence[str]) -> None:
    input_shape, output_shape = model.input_shape, model.output_shape
    if not (isinstance(input_shape, tuple) and isinstance(output_shape, tuple)):
        raise InputError("The model must have one input and one output.")
    check_shape("input_shape", input_shape, 4, "(batch, height, width, channels)")
    check_shape("output_shape", output_shape, 2, "(batch, classes)")
    if None in input_shape[1:] or input_shape[3] not in (1, 3):
        raise InputError(
            "The model must take images of one size with 1 or 3 channels. "
            f"Received: input_shape={input_shape}."
        )
    if len(class_names) != output_shape[1]:
        raise InputError(
            f"The model has {output_shape[1]} classes but {len(class_names)} class names "
            f"were given: {', '.join(class_names)}."
        )
    if len(set(class_names)) != len(class_names):
        raise InputError(f"Class names must differ. Received: {', '.join(class_names)}.")
