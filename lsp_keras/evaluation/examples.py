"""The images an evaluation is made on, and the batches they are attacked in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.classifiers import Classifier, probe, read, sample_rows
from lsp_keras.inference.logits import LogitsFn
from lsp_keras.types import Floats, Integers
from lsp_keras.validation import InputError, check_positive, check_shape, clip_rounding

_BATCHES_PER_SHARD = 8


@dataclass(frozen=True)
class Examples:
    """Images as they came; shards of them are attacked as float32 in [0, 1]."""

    images: npt.NDArray[Any]
    labels: Integers
    indices: Integers
    batch_size: int

    def shards(self, rows: Integers) -> Iterator[tuple[int, Integers]]:
        """Start and rows of pieces of work, each small enough to be held as floats."""
        size = self.batch_size * _BATCHES_PER_SHARD
        for start in range(0, len(rows), size):
            yield start, rows[start : start + size]


def check_examples(
    images: npt.ArrayLike, labels: npt.ArrayLike, indices: npt.ArrayLike | None, batch_size: int
) -> Examples:
    """The arrays as examples of one length.

    Raises:
        InputError: There are none, or lengths or types do not fit.
    """
    pixels, targets = np.asarray(images), np.asarray(labels)
    check_shape("images", pixels.shape, 4, "(batch, height, width, channels)")
    check_positive("batch_size", batch_size)
    if len(pixels) == 0:
        raise InputError("`images` must hold at least one image. Received: none.")
    if targets.shape != (len(pixels),) or not np.issubdtype(targets.dtype, np.integer):
        raise InputError(
            f"`labels` must be integers of shape ({len(pixels)},), one for each image. "
            f"Received: shape={targets.shape}, dtype={targets.dtype}."
        )
    keys = np.arange(len(pixels)) if indices is None else np.asarray(indices)
    # One type for all that follows: Keras's own datasets have labels of uint8.
    return Examples(pixels, targets.astype(np.int64), keys, batch_size)


def adapted(
    model: LogitsFn | Classifier, examples: Examples, needy: Sequence[str] = ()
) -> Classifier:
    """The model as a classifier, probed on a sample of the examples.

    Args:
        model: See `lsp_keras.classifiers.read`.
        examples: Images and labels.
        needy: What needs gradients.

    Raises:
        InputError: The model cannot be read, the images do not fit, or it lacks gradients.
    """
    classifier = read(model)
    if needy and not classifier.has_gradients:
        raise InputError(
            f"The model gives no gradients, which {', '.join(needy)} need: it is served or takes "
            "uint8. Use the suite black-box, or the model's own file."
        )
    rows = sample_rows(len(examples.labels))
    return probe(classifier, as_floats(examples.images[rows]), examples.labels[rows])


def as_floats(images: npt.NDArray[Any]) -> Floats:
    """Images as float32 in [0, 1]; uint8 is divided by 255, rounding is clipped."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255.0)
    pixels = images.astype(np.float32, copy=False)
    return clip_rounding(pixels) if pixels.size else pixels
