"""Progress of a run on the terminal, with images per second."""

import sys
import time
from typing import TextIO

import keras

from lsp_keras.validation import check_positive

_REDRAW_SECONDS = 0.2
_BAR_WIDTH = 24


class ThroughputProgress(keras.callbacks.Callback):
    """Shows a bar with images per second, then one line for each epoch; both go to stderr.

    Adds `images_per_second` to the logs: of training alone, without validation, and without
    the first step of an epoch, which compiles or fills the pipeline. Place it after callbacks
    that measure and before those that write.

    Args:
        num_images: Images of one epoch.
        stream: Where to write, default `sys.stderr`. The bar is drawn on terminals only.
    """

    def __init__(self, num_images: int, *, stream: TextIO | None = None) -> None:
        super().__init__()
        check_positive("num_images", num_images)
        self.num_images = num_images
        self._stream = stream or sys.stderr
        self._epoch = 0
        self._marks: list[tuple[int, float]] = []
        self._drawn = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts to count."""
        self._epoch = epoch
        self._marks = [(0, time.perf_counter())]

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Counts, and redraws the bar a few times a second."""
        now = time.perf_counter()
        # Begin of the epoch, end of its first step, latest step.
        self._marks = [*self._marks[:2], (batch + 1, now)]
        if self._stream.isatty() and now - self._drawn > _REDRAW_SECONDS:
            self._drawn = now
            self._write(f"\r{self._bar(batch + 1)}\x1b[K")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Replaces the bar with the epoch's figures."""
        logs = {} if logs is None else logs
        steps = self._marks[-1][0]
        logs["images_per_second"] = self._rate(steps)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        start = "\r\x1b[K" if self._stream.isatty() else ""
        self._write(f"{start}epoch {epoch + 1}/{self._epochs()}  {figures}\n")

    def _rate(self, steps_in_epoch: int) -> float:
        """Images per second so far in this epoch."""
        first, latest = self._marks[min(1, len(self._marks) - 1)], self._marks[-1]
        if latest[0] == first[0]:
            first = self._marks[0]
        steps, seconds = latest[0] - first[0], latest[1] - first[1]
        images = self.num_images * steps / max(steps_in_epoch, 1)
        return images / seconds if seconds > 0 else 0.0

    def _bar(self, done: int) -> str:
        steps = (self.params or {}).get("steps") or done
        filled = "█" * round(_BAR_WIDTH * done / steps)
        return (
            f"epoch {self._epoch + 1}/{self._epochs()}  {filled:░<{_BAR_WIDTH}}  "
            f"{done}/{steps}  {self._rate(steps):,.0f} images/s"
        )

    def _epochs(self) -> int:
        return (self.params or {}).get("epochs") or self._epoch + 1

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
