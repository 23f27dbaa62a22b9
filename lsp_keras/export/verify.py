"""Whether a written SavedModel answers what the model itself answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.classifiers import Classifier
from lsp_keras.export.preprocessing import ENCODED_FEATURE
from lsp_keras.types import Floats, Images, as_floats
from lsp_keras.validation import InputError

_COUNT = 4
_COLORS = (1, 3)
# Of probabilities: rounding in float32, and in half precision.
_TOLERANCE = 1e-4
_HALF_TOLERANCE = 2e-2


def trial_images(
    image_shape: tuple[int | None, ...], most: int | None, images: Images | None
) -> Images:
    """A few images to compare answers on.

    Args:
        image_shape: Shape of the images that the model takes, `(height, width, channels)`, `None`
            for any.
        most: Images in a request.
        images: Some real images, uint8 `(n, height, width, channels)`; default random ones.

    Raises:
        InputError: The size is not known, or images have neither one channel nor three.
    """
    count = min(_COUNT, most or _COUNT)
    if images is not None and len(images):
        return images[:count]
    if None in image_shape or image_shape[-1] not in _COLORS:
        raise InputError(
            "The model must take images of one size with 1 or 3 channels. "
            f"Received: input_shape={(None, *image_shape)}. Where it takes any size, name its "
            "--dataset (`images=` in Python)."
        )
    shape = (count, *(size or 1 for size in image_shape))
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def verify(folder: Path, classifier: Classifier, images: Images, *, is_half: bool = False) -> None:
    """Compares the probabilities that each signature answers with the model's own.

    Args:
        folder: Folder of the SavedModel.
        classifier: The model itself, probed.
        images: Images, uint8 `(n, height, width, channels)`.
        is_half: Whether the SavedModel is a copy in half precision.

    Raises:
        InputError: They differ by more than rounding.
    """
    own = classifier.own_probabilities(as_floats(images))
    rounds = is_half or classifier.precision != "float32"
    tolerance = _HALF_TOLERANCE if rounds else _TOLERANCE
    loaded: Any = tf.saved_model.load(str(folder))
    for name, (arguments, output) in _requests(images).items():
        answered: Floats = loaded.signatures[name](**arguments())[output].numpy()
        gap = float(np.abs(answered - own).max())
        if not gap <= tolerance:
            raise InputError(
                f"The written SavedModel answers otherwise than the model: the probabilities of "
                f"its signature {name} differ by up to {gap:.3g} on {len(images)} images. It was "
                "not kept."
            )


def _requests(images: Images) -> dict[str, tuple[Callable[[], dict[str, tf.Tensor]], str]]:
    """By signature, the images as it takes them and the output with the probabilities."""
    files = [tf.io.encode_png(image).numpy() for image in images]
    floats = as_floats(images)
    return {
        "serving_default": (lambda: {"images": tf.constant(floats)}, "probabilities"),
        "serving_uint8": (lambda: {"images": tf.constant(images)}, "probabilities"),
        "serving_bytes": (lambda: {"image_bytes": tf.constant(files)}, "probabilities"),
        "classify": (lambda: {"inputs": tf.constant([_example(file) for file in files])}, "scores"),
    }


def _example(file: bytes) -> bytes:
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    features = tf.train.Features(feature={ENCODED_FEATURE: value})
    serialized: bytes = tf.train.Example(features=features).SerializeToString()
    return serialized
