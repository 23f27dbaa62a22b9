"""Callbacks of a run: validation under attack, the models that are kept, the history file."""

import csv
import math
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lsp_keras.attacks import Attack
from lsp_keras.epochs import Rank, rank
from lsp_keras.inference.precision import in_float32
from lsp_keras.ops.workers import workers_of
from lsp_keras.shards import Shard
from lsp_keras.storage import atomic_path, remove_leftovers
from lsp_keras.training.logs import Logs, logged
from lsp_keras.training.state import StatefulCallback
from lsp_keras.types import Examples
from lsp_keras.validation import InputError, check_positive


class RobustValidation(keras.callbacks.Callback):
    """Adds `val_accuracy` and `val_robust_accuracy` to the logs of each epoch.

    Where the trainer averages its weights, the accuracies of the average are added as
    `val_ema_accuracy` and `val_ema_robust_accuracy`.

    Place it before callbacks that read them. The random starts of the attack are the same in
    every epoch, so that epochs can be compared.

    Args:
        split: Images held out from training.
        attack: Attack that the robust accuracy is measured with, for example PGD with 10 steps.
        batch_size: Images attacked at a time.
        seed: Seed of the attack's random draws.
    """

    def __init__(
        self, split: Examples, attack: Attack, *, batch_size: int = 128, seed: int = 0
    ) -> None:
        super().__init__()
        check_positive("batch_size", batch_size)
        if len(split) == 0:
            raise InputError("Robust validation needs images, the split has none.")
        self.split = split
        self.attack = attack
        self.batch_size = batch_size
        self.seed = seed

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Attacks the classifier and its average, and writes the accuracies into `logs`."""
        logs = {} if logs is None else logs
        accuracy, robust_accuracy = self.measure(self.model.classifier)
        logs.update(val_accuracy=accuracy, val_robust_accuracy=robust_accuracy)
        if self.model.average is not None:
            with self.model.average.applied_to(self.model.classifier) as averaged:
                accuracy, robust_accuracy = self.measure(averaged)
            logs.update(val_ema_accuracy=accuracy, val_ema_robust_accuracy=robust_accuracy)

    def measure(self, classifier: keras.Model) -> tuple[float, float]:
        """Clean and robust accuracy, in [0, 1], in float32.

        Processes that train together attack a share of the images each.
        """
        workers = workers_of(self.model)
        classifier = in_float32(classifier)
        correct = robust = 0.0
        own = Shard(workers.index, workers.count).rows(len(self.split))
        for start in range(0, len(own), self.batch_size):
            rows = own[start : start + self.batch_size]
            part = self.split.select(rows).as_floats()
            images, labels = part.images, part.labels
            logits = _answers(classifier, images, workers.num_replicas)
            correct += int(np.sum(np.argmax(logits, axis=1) == labels))
            result = self.attack(classifier, images, labels, seed=self.seed, indices=rows)
            robust += int(np.sum(~result.success))
        correct, robust = workers.total([correct, robust])
        return correct / len(self.split), robust / len(self.split)


def _answers(classifier: keras.Model, images: Any, num_replicas: int) -> Any:
    if num_replicas == 1:
        return classifier.predict_on_batch(images)
    # Keras would give each replica the whole batch, and answer as often as there are replicas.
    return classifier(images, training=False)


class _BestEpoch(StatefulCallback):
    """Remembers the epoch with the largest `metric`; for ties see `lsp_keras.epochs.rank`.

    Attributes:
        best_value: Largest `metric` so far, or `None`.
        best_epoch: Epoch of the best value, counted from 1, or `None`.
    """

    def __init__(self, metric: str) -> None:
        super().__init__()
        self.metric = metric
        self.best_value: float | None = None
        self.best_epoch: int | None = None
        self._best_rank: Rank = ()

    def get_state(self) -> dict[str, Any]:
        """Value, epoch and rank of the best; JSON has no infinity."""
        finite = [value if math.isfinite(value) else None for value in self._best_rank]
        return {"best_value": self.best_value, "best_epoch": self.best_epoch, "best_rank": finite}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back what `get_state` returned."""
        self.best_value, self.best_epoch = state["best_value"], state["best_epoch"]
        # A run from before ties were broken knows the value alone.
        ranks = state.get("best_rank", [self.best_value])
        self._best_rank = tuple(-math.inf if value is None else value for value in ranks)

    def _is_best(self, epoch: int, logs: Logs | None) -> bool:
        """Whether this epoch, counted from 0, is the best so far; remembers it then."""
        value = logged(self.metric, logs)
        own = rank(self.metric, logs or {})
        if self.best_epoch is not None and own < self._best_rank:
            return False
        self._best_rank = own
        self.best_value = value if math.isfinite(value) else None
        self.best_epoch = epoch + 1
        return True


class BestAndLast(_BestEpoch):
    """Keeps the classifier of the best epoch and of the last one, as plain `.keras` files.

    Args:
        best_path: Where the epoch with the largest `metric` goes; for ties see
            `lsp_keras.epochs.rank`.
        last_path: Where every epoch goes, in place of the one before.
        metric: Name in the logs, for example `"val_robust_accuracy"`.

    Attributes:
        best_value: Largest `metric` so far, or `None`.
        best_epoch: Epoch of the best value, counted from 1, or `None`.
    """

    def __init__(
        self, best_path: Path | str, last_path: Path | str, *, metric: str = "val_robust_accuracy"
    ) -> None:
        super().__init__(metric)
        self.best_path = Path(best_path)
        self.last_path = Path(last_path)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Removes what a killed process left half-written."""
        remove_leftovers(self.best_path.parent)
        remove_leftovers(self.last_path.parent)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves the classifier, twice where it is the best."""
        is_best = self._is_best(epoch, logs)
        with atomic_path(self.last_path) as temporary:
            in_float32(self.model.classifier).save(temporary)
        if is_best:
            with atomic_path(self.best_path) as temporary:
                shutil.copyfile(self.last_path, temporary)


class BestAverage(_BestEpoch):
    """Keeps the classifier with averaged weights of its best epoch, as a plain `.keras` file.

    For trainers that average, see `StepOptions`. The average of the last epoch lies in the
    run's state and in files of the whole trainer.

    Args:
        path: Where the epoch with the largest `metric` goes; of equal ones the first.
        metric: Name in the logs, as `RobustValidation` adds it for the average.

    Attributes:
        best_value: Largest `metric` so far, or `None`.
        best_epoch: Epoch of the best value, counted from 1, or `None`.
    """

    def __init__(self, path: Path | str, *, metric: str = "val_ema_robust_accuracy") -> None:
        super().__init__(metric)
        self.path = Path(path)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Removes what a killed process left half-written.

        Raises:
            InputError: The trainer keeps no average.
        """
        if self.model.average is None:
            raise InputError(
                "There is no average of the weights to keep. "
                "Call `trainer.configure(StepOptions(ema_decay=0.999))`."
            )
        remove_leftovers(self.path.parent)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves the average where it is the best."""
        if self._is_best(epoch, logs):
            with (
                self.model.average.applied_to(self.model.classifier) as averaged,
                atomic_path(self.path) as temporary,
            ):
                in_float32(averaged).save(temporary)


class HistoryCSV(StatefulCallback):
    """Writes the logs as a table, one row per epoch, counted from 1.

    A resumed run keeps the rows of the epochs before it: those in its state, else those of the
    file. Place it after the callbacks that add to the logs.

    Args:
        path: The file; whole after every epoch.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        self.path = Path(path)
        self._rows: list[dict[str, str]] | None = None

    def get_state(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self._rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back what `get_state` returned."""
        self._rows = state["rows"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Removes what a killed process left half-written."""
        remove_leftovers(self.path.parent)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the rows of the earlier epochs and this one."""
        earlier = _read_rows(self.path) if self._rows is None else self._rows
        row = {"epoch": epoch + 1, **(logs or {})}
        rows = [item for item in earlier if int(item["epoch"]) <= epoch]
        self._rows = [*rows, {name: str(value) for name, value in row.items()}]
        columns = list(dict.fromkeys(column for item in self._rows for column in item))
        with atomic_path(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self._rows)


def _read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none of one that is missing or damaged."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        return rows if all(int(row["epoch"]) > 0 for row in rows) else []
    except (ValueError, KeyError, TypeError, csv.Error):
        return []
