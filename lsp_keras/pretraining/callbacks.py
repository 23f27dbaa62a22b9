"""What happens between the epochs of pre-training: measure, notice a collapse."""

import time
from typing import Any

import keras

from lsp_keras.errors import CollapseError
from lsp_keras.models._encoder import compiled_encoder
from lsp_keras.neighbors import image_features, knn_accuracy
from lsp_keras.types import Examples

_MONITOR_TRAIN = 10_000
_COLLAPSED_SPREAD = 0.01


class KNNMonitor(keras.callbacks.Callback):
    """Adds `knn_accuracy` of the features to the logs every few epochs and after the last.

    Labels measure here, they do not train.

    Args:
        train: Images that vote; at most the first 10,000.
        validation: Images whose labels are guessed.
        every: Epochs between measurements.
    """

    def __init__(self, train: Examples, validation: Examples, every: int) -> None:
        super().__init__()
        self.train = train.take(_MONITOR_TRAIN)
        self.validation = validation
        self.every = every

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Compiles the encoder."""
        self._encode = compiled_encoder(self.model.encoder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures where it is time to."""
        last = epoch + 1 == self.params["epochs"]
        if logs is None or not len(self.validation) or not (last or (epoch + 1) % self.every == 0):
            return
        logs["knn_accuracy"] = knn_accuracy(
            image_features(self.train.images, self._encode),
            self.train.labels,
            image_features(self.validation.images, self._encode),
            self.validation.labels,
        )


class StopAtCollapse(keras.callbacks.Callback):
    """Ends training whose projections have become one point.

    Raises:
        CollapseError: At the end of such an epoch.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the epoch's spread."""
        spread = (logs or {}).get("spread", 1.0)
        if spread < _COLLAPSED_SPREAD:
            raise CollapseError(
                f"The encoder collapsed in epoch {epoch + 1}: all images have nearly the same "
                f"features (their spread is {spread:.4f} of at most 1). Lower --learning-rate or "
                "raise --temperature, and look whether the images differ at all."
            )


class EpochSeconds(keras.callbacks.Callback):
    """Adds `seconds`, the wall time of the epoch with its measurements, to the logs."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reads it."""
        if logs is not None:
            logs["seconds"] = time.monotonic() - self._started
