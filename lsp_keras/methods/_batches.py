"""What a training step reads from the pipeline, whatever form the user's data has."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.regularizers import Batch
from lsp_keras.validation import InputError


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
        InputError: Images or labels are missing, or the images are not floats.
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
    batch["labels"] = tf.reshape(tf.cast(batch["labels"], tf.int64), [-1])
    batch.setdefault("indices", tf.range(tf.shape(batch["labels"])[0], dtype=tf.int64))
    return batch


def checked_images(images: tf.Tensor) -> tf.Tensor:
    """The images in float32.

    Raises:
        InputError: They are integers, which would be read as pixels on another scale.
    """
    if not images.dtype.is_floating:
        raise InputError(
            f"Images must be floats in [0, 1]. Received: dtype={images.dtype.name}. "
            "Divide uint8 images by 255."
        )
    return tf.cast(images, tf.float32)
