"""The feature space in which a run looks for neighbors."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npy
from lsp_keras.classifiers.load import load_keras
from lsp_keras.neighbors import FeatureSource, embeddings_source
from lsp_keras.neighbors.features import Encode
from lsp_keras.storage import fingerprint
from lsp_keras.types import Dataset
from lsp_keras.validation import InputError, first_line


def encoder_source(path: Path | str, image_shape: tuple[int, int, int]) -> FeatureSource:
    """Features computed by a saved encoder.

    Args:
        path: A .keras file; a model from images in [0, 1] to features `(batch, ...)`.
        image_shape: Shape of the images that it will encode.

    Raises:
        InputError: The file is missing, is no Keras model, or takes other images.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no encoder at {path}.")
    encoder = load_keras(path)
    # A model that was saved before it was built has none.
    taken = getattr(encoder, "input_shape", None)
    if not isinstance(taken, tuple) or tuple(taken[1:]) != tuple(image_shape):
        found = taken[1:] if isinstance(taken, tuple) else "several kinds or of none that it states"
        raise InputError(
            f"The encoder {path} takes images of shape {found}, the dataset's are {image_shape}."
        )
    encode = tf.function(lambda images: encoder(images, training=False), reduce_retracing=True)
    _check_features(path, encode, image_shape)
    return FeatureSource(path.name, fingerprint(path.read_bytes()), encode=encode)


def _check_features(path: Path, encode: Encode, image_shape: tuple[int, int, int]) -> None:
    """Raises `InputError` unless each of two images gets numbers, and finite ones."""
    images = np.stack([np.zeros(image_shape), np.ones(image_shape)]).astype(np.float32)
    try:
        features = np.asarray(encode(images))
    # Whatever the layers of a stranger's model raise.
    except Exception as error:
        raise InputError(f"The encoder {path} cannot encode images: {first_line(error)}") from error
    if features.ndim < 2 or len(features) != 2 or features.dtype.kind != "f":
        raise InputError(
            f"The encoder {path} must give one row of floats for each image. Received: "
            f"{features.dtype} {features.shape} for 2 images."
        )
    if not np.isfinite(features).all():
        raise InputError(f"The encoder {path} gives NaN or infinite features.")


def embeddings_file_source(path: Path | str, dataset: Dataset) -> FeatureSource:
    """Features that the user computed and saved.

    Args:
        path: An .npy file `(n, dimensions)`, one row for each training image, or for each image
            of the source's whole training split.
        dataset: What the rows stand for.

    Raises:
        InputError: The file is missing or no .npy file, or has another number of rows.
    """
    try:
        embeddings = read_npy(path, ArraySpec(kinds="iuf", ndim=2))
    except ArrayFileError as error:
        raise InputError(
            f"{path} is not an .npy file of numbers with one row for each image: {error}."
        ) from error
    return embeddings_source(embeddings, dataset.train, dataset.info.split_sizes["train"])
