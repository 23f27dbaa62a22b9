"""Whether an exported model sees in a file the pixels that training saw in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsp_keras.types import Images


class Agreement(NamedTuple):
    """The answers to files beside the answers to the pixels that were decoded from them.

    Attributes:
        num_files: Number of files.
        largest_difference: Largest difference between two logits.
        same_classes: Number of files that get the same class.
    """

    num_files: int
    largest_difference: float
    same_classes: int


def compare_files(folder: Path | str, files: Sequence[bytes], images: Images) -> Agreement:
    """Sends files and pixels to an exported model and compares what it answers.

    Args:
        folder: A version that `export_model` wrote.
        files: Encoded images.
        images: Images of the same files as training decoded them, uint8
            `(n, height, width, channels)`.
    """
    signatures = tf.saved_model.load(str(folder)).signatures
    from_files, from_pixels = (
        np.asarray(signatures[name](**{argument: tf.constant(value)})["logits"])
        for name, argument, value in (
            ("serving_bytes", "image_bytes", list(files)),
            ("serving_uint8", "images", images),
        )
    )
    return Agreement(
        len(files),
        float(np.abs(from_files - from_pixels).max()),
        int((from_files.argmax(-1) == from_pixels.argmax(-1)).sum()),
    )
