"""The feature space in which a run looks for neighbors."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.neighbors import FeatureSource, embeddings_source
from lsp_keras.storage import fingerprint
from lsp_keras.types import Dataset
from lsp_keras.validation import InputError


def encoder_source(path: Path | str, image_shape: tuple[int, int, int]) -> FeatureSource:
    """Features computed by a saved encoder.

    Args:
        path: A .keras file; a model from images in [0, 1] to features `(batch, ...)`.
        image_shape: Of the images that it will encode.

    Raises:
        InputError: The file is missing, is no Keras model, or takes other images.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no encoder at {path}.")
    try:
        encoder = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, TypeError) as error:
        raise InputError(f"{path} is not a Keras model saved as .keras: {error}") from error
    if tuple(encoder.input_shape[1:]) != tuple(image_shape):
        raise InputError(
            f"The encoder {path} takes images of shape {encoder.input_shape[1:]}, the dataset's "
            f"are {image_shape}."
        )
    encode = tf.function(lambda images: encoder(images, training=False), reduce_retracing=True)
    return FeatureSource(path.name, fingerprint(path.read_bytes()), encode=encode)


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
        embeddings = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is not an .npy file of numbers: {error}") from error
    return embeddings_source(embeddings, dataset.train, dataset.info.split_sizes["train"])
