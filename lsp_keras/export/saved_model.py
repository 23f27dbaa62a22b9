"""Writes a classifier as a SavedModel that TensorFlow Serving loads."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.classifiers import Classifier, probe, read
from lsp_keras.classifiers.answers import LOGITS, Answers
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
from lsp_keras.export.verify import trial_images, verify
from lsp_keras.export.versions import choose_version, place_version, publish_version
from lsp_keras.export.warmup import write_warmup
from lsp_keras.inference.logits import inference_logits
from lsp_keras.places import place
from lsp_keras.storage import scratch_folder
from lsp_keras.types import Images, as_floats
from lsp_keras.validation import InputError

_MARKER = "saved_model.pb"
CLASS_NAMES_FILE = "class_names.txt"
CLASSIFY = "classify"
CLASSIFY_METHOD = "tensorflow/serving/classify"


class ServedClassifier(tf.Module):
    """The signatures around a classifier.

    Args:
        classifier: Probed classifier with a known size of its images.
        class_names: Names of the classes, one for each logit.
        assets: Existing folder with the file of class names, copied into the SavedModel.
        options: XLA, the largest batch, and how files are resized.
    """

    def __init__(
        self,
        classifier: Classifier,
        class_names: Sequence[str],
        assets: Path,
        options: ExportOptions,
    ) -> None:
        super().__init__(name="served_classifier")
        height, width, channels = (size or 1 for size in classifier.image_shape)
        self._image_shape = height, width, channels
        self._link = (classifier.answers or Answers(LOGITS)).link
        # Only the classifier is compiled: XLA knows neither strings nor assertions.
        self._predict = tf.function(
            inference_logits(classifier.model), jit_compile=options.xla or None
        )
        # The TensorFlow variables themselves: a Keras object would be saved with functions of
        # its own that no client calls.
        owner = classifier.keras_model or classifier.source
        self.model_variables = [variable.value for variable in owner.variables]
        self.class_names_file = tf.saved_model.Asset(str(assets / CLASS_NAMES_FILE))
        self._class_names = tuple(class_names)
        self._max_batch_size = options.max_batch_size
        self._resize = options.resize

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
        return self._outputs(decode_images(image_bytes, self._image_shape, self._resize))

    def _classify(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self._from_bytes(encoded_images(examples))
        labels = tf.tile([self._class_names], [tf.shape(examples)[0], 1])
        return {"classes": labels, "scores": outputs["probabilities"]}

    def _outputs(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        # A server cannot write half-precision numbers as JSON, so all outputs are float32.
        logits = self._predict(images)
        classes = tf.argmax(logits, axis=-1)
        return {
            "logits": logits,
            "probabilities": self._link(logits),
            "classes": classes,
            "class_names": tf.gather(tf.constant(self._class_names), classes),
        }


def export_model(
    model: keras.Model | Classifier,
    base_path: Path | str,
    *,
    class_names: Sequence[str],
    version: int | None = None,
    options: ExportOptions | None = None,
    card: Mapping[str, Any] | None = None,
    images: Images | None = None,
) -> Path:
    """Writes `base_path/VERSION` in the layout that TensorFlow Serving reads.

    The SavedModel has these signatures, each for any batch size:
    `serving_default` takes `images` as float32 in [0, 1], `serving_uint8` takes `images` as
    uint8, `serving_bytes` takes `image_bytes`, encoded JPEG, PNG, BMP or GIF files, and decodes
    them as files are decoded for training (docs/data.md). All three answer
    `logits` and `probabilities` `(batch, k)`, `classes` (int64 `(batch,)`, the most probable
    label) and `class_names` (string `(batch,)`, its name). `classify` takes `tf.Example`s with
    the feature `image/encoded` and answers all names with their probabilities, for the classify
    calls of REST and gRPC. Pixels outside [0, 1] are an error, not a class.

    Before the version appears, what each signature of the written SavedModel answers is compared
    with the model's own answers. The folder also holds requests that warm the model up and, if
    given, its card.

    Args:
        model: Keras classifier of any kind, see `lsp_keras.classifiers.read`; the served
            probabilities are its own.
        base_path: Folder of the model; its name is the model's name when it is served. Or an
            address such as `gs://bucket/models/svhn`, where TensorFlow or fsspec knows the store.
        class_names: Names of the classes, one for each logit, in label order.
        version: A positive integer; default the one after the newest version there.
        options: Precision, XLA, largest batch.
        card: Card that `lsp_keras.export.make_card` made.
        images: Images to compare answers on, uint8 `(n, height, width, channels)`; default random
            ones.

    Returns:
        The new version's folder. It appears complete or not at all; in a store, which cannot
        rename, `saved_model.pb` is written last, and a folder without it is not complete.

    Raises:
        InputError: The model is no image classifier, the names do not fit, the version exists,
            or the written SavedModel answers otherwise than the model.

    Example:
        >>> export_model(model, "models/svhn", class_names=list("0123456789"))  # doctest: +SKIP
        PosixPath('models/svhn/1')
    """
    options = options or ExportOptions()
    own = read(model, keep_precision=True)
    trial = trial_images(own.image_shape, options.max_batch_size, images)
    own = _probed(own, trial, class_names)
    base: Any = place(base_path)
    # Told at once; two exports may still find the same version free.
    choose_version(base, version)
    classifier = _probed(_halved(own), trial, class_names) if options.float16 else own
    is_here = type(base) is type(Path())
    with scratch_folder(base if is_here else Path(tempfile.gettempdir())) as scratch:
        written = scratch / "model"
        _save(classifier, class_names, options, written, scratch)
        verify(written, own, trial, is_half=options.float16)
        write_warmup(written, trial.shape[1:], base.resolve().name)
        if card is not None:
            write_card(written, {**card, "classifier": own.describe()})
        if is_here:
            return place_version(written, base, version)
        return publish_version(written, base, version, marker=_MARKER)


def _halved(classifier: Classifier) -> Classifier:
    """The classifier of a half-precision copy, read alike."""
    output = None if classifier.answers is None else classifier.answers.output
    copy = to_float16(classifier.source)
    return read(copy, pixel_range=classifier.pixels, output=output, keep_precision=True)


def _probed(classifier: Classifier, trial: Images, class_names: Sequence[str]) -> Classifier:
    """The classifier, its answers known, with images of the trial's size.

    Raises:
        InputError: It is none that can be served, or the class names are not its own.
    """
    if not isinstance(classifier.source, keras.Model):
        raise InputError(
            "Only Keras models are exported; a SavedModel can be served as it is: "
            "lsp-keras serve FOLDER, with the model in FOLDER/1. "
            f"Received: {type(classifier.source).__name__}."
        )
    found = probe(classifier, as_floats(trial))
    _check_names(found.num_classes, class_names)
    return replace(found, image_shape=trial.shape[1:])


def _save(
    classifier: Classifier,
    class_names: Sequence[str],
    options: ExportOptions,
    folder: Path,
    assets: Path,
) -> None:
    names = "".join(f"{name}\n" for name in class_names)
    (assets / CLASS_NAMES_FILE).write_text(names, encoding="utf-8")
    module = ServedClassifier(classifier, class_names, assets, options)
    # TensorFlow prints the folder it wrote to, which is the temporary one.
    with contextlib.redirect_stdout(io.StringIO()):
        tf.saved_model.save(module, str(folder), signatures=module.signatures())
    # TensorFlow marks every signature as one for predict; servers may look at the mark.
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    updater.replace_method_name(CLASSIFY, CLASSIFY_METHOD, tags="serve")
    updater.save(str(folder))


def _check_names(num_classes: int, class_names: Sequence[str]) -> None:
    if len(class_names) != num_classes:
        raise InputError(
            f"The model has {num_classes} classes but {len(class_names)} class names "
            f"were given: {', '.join(class_names)}."
        )
    if len(set(class_names)) != len(class_names):
        raise InputError(f"Class names must differ. Received: {', '.join(class_names)}.")
    # A break at the end of a name would make a line of its own, and number all later classes anew.
    broken = [name for name in class_names if len(f"{name}.".splitlines()) > 1]
    if broken:
        raise InputError(f"A class name must be one line. Received: {broken[0]!r}.")
