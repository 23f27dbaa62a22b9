"""The history of a run as an event file for TensorBoard."""

import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.training.logs import Logs

_FORMAT = "brain.Event:2"


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes the logs of each epoch as scalars: the values and names of `history.csv`.

    The step is the epoch, counted from 1. Each process writes a file of its own, which can be
    read while it grows. Its first event tells TensorBoard to drop what an earlier process wrote
    of the same epochs, so that a killed and resumed run shows one point for each epoch. Place it
    after the callbacks that add to the logs.

    Keras's `TensorBoard` is not used: it counts what a run did within one process, and its names
    are others.

    Args:
        folder: Where the event files go; TensorBoard finds them from any folder above.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        self.folder = Path(folder)
        self._writer: tf.io.TFRecordWriter | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Appends one event."""
        summary = tf.compat.v1.Summary(
            value=[
                tf.compat.v1.Summary.Value(tag=name, simple_value=float(value))
                for name, value in (logs or {}).items()
            ]
        )
        if self._writer is None:
            self._writer = self._start(epoch + 1)
        _append(self._writer, tf.compat.v1.Event(step=epoch + 1, summary=summary))
        self._writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _start(self, step: int) -> tf.io.TFRecordWriter:
        """A new file, in name order after those of earlier processes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        writer = tf.io.TFRecordWriter(str(self.folder / f"events.out.tfevents.{time.time_ns()}"))
        _append(writer, tf.compat.v1.Event(file_version=_FORMAT))
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        _append(writer, tf.compat.v1.Event(step=step, session_log=start))
        return writer


def _append(writer: tf.io.TFRecordWriter, event: Any) -> None:
    event.wall_time = time.time()
    writer.write(event.SerializeToString())
