"""What a training step reads from the pipeline, whatever form the user's data has."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.regularizers import Batch
from lsp_keras.validation import InputError

MARK = "wrong-batch:"
_SLACK = 1e-3
_LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)
_SUM_TOLERANCE = 1e-3
_PERCENT = 100.0


def unpack(data: Any) -> Batch:
    """One batch as a dictionary.

    Args:
        data: What Keras hands to a step: a dictionary with `images` and `labels`, a tuple
            `(images, labels)` or `(images, labels, sample_weight)`, or such a tuple with a
            dictionary in the first place.

    Returns:
        `images` float32 `(batch, height, width, channels)`, `labels` int64 `(batch,)`, `indices`
        int64 `(batch,)` (default: the place in the batch), and whatever else there was.

    Raises:
        InputError: Images or labels are missing, the images are not floats, or the labels are
            not the numbers of classes.
    """
    inputs, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    batch = dict(inputs) if isinstance(inputs, Mapping) else {"images": inputs}
    given = {"labels": labels, "sample_weight": sample_weight}
    batch.update({name: value for name, value in given.items() if value is not None})
    missing = {"images", "labels"} - batch.keys()
    if missing:
        raise InputError(
            f"A batch must hold `images` and `labels`. Missing: {', '.join(sorted(missing))}."
        )
    batch["images"] = checked_images(batch["images"])
    if "neighbor_images" in batch:
        batch["neighbor_images"] = scaled(batch["neighbor_images"])
    batch["labels"] = checked_labels(batch["labels"])
    if "sample_weight" in batch:
        batch["sample_weight"] = _checked_weights(batch["sample_weight"])
    batch.setdefault("indices", tf.range(tf.shape(batch["labels"])[0], dtype=tf.int64))
    return batch


def checked_images(images: tf.Tensor) -> tf.Tensor:
    """The images in float32, those of uint8 divided by 255.

    Raises:
        InputError: They are other integers, which would be read as pixels on another scale.
    """
    if images.dtype == tf.uint8:
        return scaled(images)
    if not images.dtype.is_floating:
        raise InputError(
            f"Images must be floats in [0, 1]. Received: dtype={images.dtype.name}. "
            "Divide images from 0 to 255 by 255, or give them as uint8."
        )
    images = tf.cast(images, tf.float32)
    low, high = tf.reduce_min(images), tf.reduce_max(images)
    inside = (low >= -_SLACK) & (high <= 1.0 + _SLACK)
    message = (
        f"{MARK}images must be floats from 0 to 1, as after a division by 255. Smallest and "
        "largest value received:"
    )
    with tf.control_dependencies([tf.debugging.Assert(inside, [message, low, high])]):
        return tf.identity(images)


def scaled(images: tf.Tensor) -> tf.Tensor:
    """Images of uint8 as float32 in [0, 1], others as they are."""
    if images.dtype != tf.uint8:
        return images
    # A division by 255 becomes a product in an optimized graph, and other floats than before.
    return tf.gather(tf.constant(_LEVELS), tf.cast(images, tf.int32))


def checked_labels(labels: Any, num_classes: int | None = None) -> tf.Tensor:
    """The labels, int64 `(batch,)`.

    Args:
        labels: Labels of any integer type, `(batch,)` or `(batch, 1)`.
        num_classes: Where it is known, the graph fails for labels that are not below it.

    Raises:
        InputError: They are floats, or one row for each image.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.dtype.is_floating or (labels.shape.rank or 1) > 2 or _width(labels) not in (1, None):
        raise InputError(
            "Labels must be the numbers of classes, integers `(batch,)`. Received: "
            f"dtype={labels.dtype.name}, shape={labels.shape}. Turn one-hot rows into numbers "
            "with `argmax(axis=-1)`, and floats with `astype(int)`."
        )
    labels = tf.reshape(tf.cast(labels, tf.int64), [-1])
    if num_classes is None:
        return labels
    low, high = tf.reduce_min(labels), tf.reduce_max(labels)
    message = (
        f"{MARK}labels must be from 0 to {num_classes - 1} for a classifier of {num_classes} "
        "classes. Smallest and largest label received:"
    )
    inside = (low >= 0) & (high < num_classes)
    with tf.control_dependencies([tf.debugging.Assert(inside, [message, low, high])]):
        return tf.identity(labels)


def check_logits(logits: tf.Tensor, first: tf.Tensor) -> tf.Operation:
    """An operation that fails where the logits of the first step are probabilities.

    Those of a softmax sum to one, or to a hundred; those of sigmoids lie in [0, 1].

    Args:
        logits: Logits, `(batch, classes)`.
        first: Whether this is the first step, a bool scalar.
    """
    logits = tf.cast(logits, tf.float32)
    percent = tf.abs(tf.reduce_sum(logits, axis=-1) / _PERCENT - 1.0)
    probable = tf.reduce_all(logits >= 0.0) & (
        tf.reduce_all(logits <= 1.0) | (tf.reduce_max(percent) < _SUM_TOLERANCE)
    )
    message = (
        f"{MARK}the classifier answers probabilities, and the loss needs logits. Leave out its "
        "softmax, or build it from layers, off which a closing softmax is taken. Smallest and "
        "largest answer received:"
    )
    answers = [tf.reduce_min(logits), tf.reduce_max(logits)]
    return tf.debugging.Assert(~(first & probable), [message, *answers])


@contextlib.contextmanager
def clear_checks() -> Iterator[None]:
    """Turns TensorFlow's report of a failed check of a batch into one sentence.

    Raises:
        InputError: A check of this file failed.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        _, mark, text = error.message.partition(MARK)
        if not mark:
            raise
        raise InputError(_sentence(text)) from None


def _sentence(printed: str) -> str:
    """What `tf.debugging.Assert` printed, as text: its parts stand in brackets or on lines."""
    parts = re.split(r"\]? ?\[|\]|\n(?:b')?|'$", printed.partition("\n\n")[0])
    parts = [part.strip(" '\"") for part in parts]
    message, *numbers = (part for part in parts if part and not part.startswith("{{"))
    return f"{message[:1].upper()}{message[1:]} {' '.join(numbers[:2])}."


def _checked_weights(weights: Any) -> tf.Tensor:
    """One weight for each image, float32 `(batch,)`."""
    weights = tf.cast(tf.convert_to_tensor(weights), tf.float32)
    if (weights.shape.rank or 1) > 2 or _width(weights) not in (1, None):
        raise InputError(
            "`sample_weight` must hold one number for each image, `(batch,)` or `(batch, 1)`. "
            f"Received: shape={weights.shape}."
        )
    return tf.reshape(weights, [-1])


def _width(values: tf.Tensor) -> int | None:
    width: int | None = values.shape[1] if values.shape.rank == 2 else 1
    return width
