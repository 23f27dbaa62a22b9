"""Callbacks that end a run early: no more gain, or a fall back to chance."""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from lsp_keras.errors import CollapseError
from lsp_keras.training.logs import Logs, logged
from lsp_keras.training.state import StatefulCallback
from lsp_keras.types import Integers
from lsp_keras.validation import InputError, check_positive

Announce = Callable[[str], None]

# Standard errors above chance. With two, one epoch in forty at chance would pass for learning.
_CLEAR = 4.0


def to_stderr(text: str) -> None:
    """Writes a line to stderr."""
    sys.stderr.write(f"{text}\n")


class EarlyStopping(StatefulCallback):
    """Ends the run once `metric` has not grown for `patience` epochs.

    Nothing is restored: `BestAndLast` with the same metric keeps the best epoch. Unlike Keras's
    callback of that name it goes on counting when a run resumes, and a run that it ended stays
    ended.

    Args:
        patience: Epochs in a row without a new largest value.
        metric: Name in the logs; NaN counts as no gain.
        announce: Function that gets one sentence when the run ends; default a line on stderr.

    Attributes:
        best_value: Largest value so far.
        best_epoch: Epoch of the best value, counted from 1; 0 before there is one.

    Raises:
        InputError: `patience` is not positive, or the logs lack the metric.
    """

    def __init__(
        self,
        patience: int,
        *,
        metric: str = "val_robust_accuracy",
        announce: Announce = to_stderr,
    ) -> None:
        super().__init__()
        check_positive("patience", patience)
        self.patience = patience
        self.metric = metric
        self.announce = announce
        self.best_value = -math.inf
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares, and ends the run where patience is over."""
        value = logged(self.metric, logs)
        if value > self.best_value:
            self.best_value, self.best_epoch = value, epoch + 1
        elif epoch + 1 - self.best_epoch >= self.patience:
            self.model.stop_training = True
            self.announce(
                f"Stopped early after epoch {epoch + 1}: `{self.metric}` has not grown since "
                f"epoch {self.best_epoch} ({self.best_value:.4g})."
            )

    def get_state(self) -> dict[str, Any]:
        """Value and epoch of the best; JSON has no infinity."""
        value = self.best_value if math.isfinite(self.best_value) else None
        return {"best_value": value, "best_epoch": self.best_epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back what `get_state` returned."""
        value = state["best_value"]
        self.best_value = -math.inf if value is None else value
        self.best_epoch = state["best_epoch"]


class CollapseGuard(StatefulCallback):
    """Ends a run whose validation accuracy was clearly above chance and falls back to it.

    Chance is the share of the largest class: what a model reaches that gives every image that
    class. An accuracy is clearly above it when it exceeds it by more than four standard errors
    `sqrt(share * (1 - share) / n)` of the `n` validation images, and back at chance when it is
    not above the share at all. A run that was never clearly above chance is not ended, since
    hard methods start slowly, but says so at its end.

    Place it after the callback that measures and before all that write: the error is raised
    before anything of the collapsed epoch is on disk, so that files and state are those of the
    epoch before.

    Args:
        labels: Labels of the validation images, int64 `(n,)`.
        metric: Accuracy in the logs, in [0, 1].
        stop: Whether to end the run; otherwise a collapse is only announced.
        announce: Function that gets what is not an error; default a line on stderr.

    Attributes:
        chance: Share of the largest class.
        clear: Accuracies above it are clearly better than chance; 1 or more where there are too
            few images to tell, and then the guard does nothing.
        best_value: Largest accuracy so far.
        best_epoch: Epoch of the best value, counted from 1; 0 before there is one.

    Raises:
        InputError: There are no labels, or the logs lack the metric.
    """

    def __init__(
        self,
        labels: Integers,
        *,
        metric: str = "val_accuracy",
        stop: bool = True,
        announce: Announce = to_stderr,
    ) -> None:
        super().__init__()
        if len(labels) == 0:
            raise InputError(
                "The guard against a collapse needs validation labels, there are none."
            )
        self.num_images = len(labels)
        self.chance = float(np.max(np.bincount(labels))) / self.num_images
        variance = self.chance * (1.0 - self.chance) / self.num_images
        self.clear = self.chance + _CLEAR * math.sqrt(variance)
        self.metric = metric
        self.stop = stop
        self.announce = announce
        self.best_value = 0.0
        self.best_epoch = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares the accuracy with chance.

        Raises:
            CollapseError: It fell back to chance, and `stop` is set.
        """
        value = logged(self.metric, logs)
        if value > self.best_value:
            self.best_value, self.best_epoch = value, epoch + 1
        if self.best_value > self.clear and not value > self.chance:
            message = self._collapse(epoch + 1, value)
            if self.stop:
                raise CollapseError(message)
            self.announce(message)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Says that nothing was learned, where that is so."""
        if self.best_value <= self.clear < 1.0:
            self.announce(
                f"Validation accuracy was never clearly above chance: at best "
                f"{self.best_value:.1%}, in epoch {self.best_epoch}. The largest class alone "
                f"gives {self.chance:.1%}, and with {self.num_images:,} images only more than "
                f"{self.clear:.1%} is clear. Train longer, change the learning rate, or weaken "
                "attack and added losses."
            )

    def get_state(self) -> dict[str, Any]:
        """Value and epoch of the best."""
        return {"best_value": self.best_value, "best_epoch": self.best_epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back what `get_state` returned."""
        self.best_value, self.best_epoch = state["best_value"], state["best_epoch"]

    def _collapse(self, epoch: int, value: float) -> str:
        return (
            f"Validation accuracy fell to chance in epoch {epoch}: {value:.1%}, after "
            f"{self.best_value:.1%} in epoch {self.best_epoch}; the largest class alone gives "
            f"{self.chance:.1%}. Lower the weight of added losses or warm them up for more "
            "epochs, clip the gradient, or lower the learning rate."
        )
