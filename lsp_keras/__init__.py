"""From an image dataset to an adversarially robust classifier in production."""

import os
import sys

__version__ = "0.1.0"


def _require_tensorflow_backend() -> None:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    keras = sys.modules.get("keras")
    if keras is not None:
        backend = keras.config.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"lsp_keras runs on Keras's TensorFlow backend only, but the backend is {backend!r}. "
            "Set the environment variable KERAS_BACKEND=tensorflow before starting Python."
        )
    # Wins over a different default in ~/.keras/keras.json.
    os.environ["KERAS_BACKEND"] = "tensorflow"


_require_tensorflow_backend()
