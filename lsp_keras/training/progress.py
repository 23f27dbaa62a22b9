"""Progress of a run on the terminal, with images per second."""

import sys
import time
from typing import TextIO

import keras

from lsp_keras.validation import check_positive

_REDRAW_SECONDS = 0.2
# Between plain lines, where there is no terminal to redraw.
_LINE_SECONDS = 30.0
_BAR_WIDTH = 24
# Timed after the first step, which compiles, before the time that is left is estimated.
_ESTIMATE_STEPS = 3


class ThroughputProgress(keras.callbacks.Callback):
    """Shows images per second and the time left, then one line for each epoch, on stderr.

    After the first steps it says how long all epochs will take. On a terminal a bar is redrawn;
    elsewhere a line is written every half minute, so that a log shows that work goes on.

    Adds `images_per_second` to the logs: of training alone, without validation, and without
    the first step of an epoch, which compiles or fills the pipeline. Place it after callbacks
    that measure and before those that write.

    Args:
        num_images: Images of one epoch.
        stream: Where to write, default `sys.stderr`.
    """

    def __init__(self, num_images: int, *, stream: TextIO | None = None) -> None:
        super().__init__()
        check_positive("num_images", num_images)
        self.num_images = num_images
        self._stream = stream or sys.stderr
        self._epoch = 0
        self._marks: list[tuple[int, float]] = []
        self._drawn = 0.0
        self._estimated = False
        self._epoch_seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts to count."""
        self._epoch = epoch
        self._marks = [(0, time.perf_counter())]
        if not self._stream.isatty():
            self._drawn = self._marks[0][1]

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Counts, and shows how far the epoch is."""
        now = time.perf_counter()
        # Begin of the epoch, end of its first step, latest step.
        self._marks = [*self._marks[:2], (batch + 1, now)]
        if not self._estimated and batch >= _ESTIMATE_STEPS:
            self._estimated = True
            self._write(f"{self._start()}{self._estimate()}\n")
        if self._stream.isatty() and now - self._drawn > _REDRAW_SECONDS:
            self._drawn = now
            self._write(f"\r{self._bar(batch + 1)}\x1b[K")
        elif not self._stream.isatty() and now - self._drawn > _LINE_SECONDS:
            self._drawn = now
            self._write(f"{self._text(batch + 1)}\n")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Replaces the bar with the epoch's figures."""
        logs = {} if logs is None else logs
        self._epoch_seconds.append(time.perf_counter() - self._marks[0][1])
        logs["images_per_second"] = self._rate(self._marks[-1][0])
        figures = "  ".join(f"{name} {value:.4g}" for name, value in logs.items())
        left = self._epochs() - epoch - 1
        ending = f"  {_duration(left * self._mean_epoch())} left" if left > 0 else ""
        self._write(f"{self._start()}epoch {epoch + 1}/{self._epochs()}  {figures}{ending}\n")

    def _rate(self, steps_in_epoch: int) -> float:
        """Images per second so far in this epoch."""
        first, latest = self._marks[min(1, len(self._marks) - 1)], self._marks[-1]
        if latest[0] == first[0]:
            first = self._marks[0]
        steps, seconds = latest[0] - first[0], latest[1] - first[1]
        images = self.num_images * steps / max(steps_in_epoch, 1)
        return images / seconds if seconds > 0 else 0.0

    def _bar(self, done: int) -> str:
        steps = self._steps() or done
        filled = "█" * round(_BAR_WIDTH * done / steps)
        return self._text(done, f"  {filled:░<{_BAR_WIDTH}}")

    def _text(self, done: int, bar: str = "") -> str:
        steps = self._steps() or done
        return (
            f"epoch {self._epoch + 1}/{self._epochs()}{bar}  {done}/{steps}  "
            f"{self._rate(steps):,.0f} images/s{self._left(done)}"
        )

    def _estimate(self) -> str:
        """How long the epochs that are left will take, without what follows each of them."""
        epochs, steps = self._epochs() - self._epoch, self._steps()
        seconds = self._step_seconds()
        if not steps:
            return f"A step takes {seconds:.2g} s."
        return (
            f"Estimate: {_duration(epochs * steps * seconds)} for {epochs} epochs of {steps:,} "
            f"steps of {seconds:.2g} s, measurements between epochs not counted."
        )

    def _left(self, done: int) -> str:
        """Time left of all epochs; with what follows an epoch, once one has ended."""
        steps, seconds = self._steps(), self._step_seconds()
        # The first step compiles, and tells nothing of those that follow.
        if not steps or not seconds:
            return ""
        now = (steps - done) * seconds
        epoch = self._mean_epoch() or steps * seconds
        return f"  {_duration(now + (self._epochs() - self._epoch - 1) * epoch)} left"

    def _mean_epoch(self) -> float:
        return sum(self._epoch_seconds) / max(len(self._epoch_seconds), 1)

    def _step_seconds(self) -> float:
        first, latest = self._marks[min(1, len(self._marks) - 1)], self._marks[-1]
        return (latest[1] - first[1]) / max(latest[0] - first[0], 1)

    def _steps(self) -> int | None:
        return (self.params or {}).get("steps")

    def _start(self) -> str:
        """Clears the bar, where there is one."""
        return "\r\x1b[K" if self._stream.isatty() else ""

    def _epochs(self) -> int:
        return (self.params or {}).get("epochs") or self._epoch + 1

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _duration(seconds: float) -> str:
    """About how long, as people say it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
