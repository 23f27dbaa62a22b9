"""A training run that can be killed at any moment and resumed to the same end."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lsp_keras.errors import NonFiniteLossError, TrainingError
from lsp_keras.ops.finite import clear_errors, message
from lsp_keras.ops.workers import workers_of
from lsp_keras.storage import remove_leftovers
from lsp_keras.training.state import (
    STATE_FILE,
    RunState,
    clear_state,
    has_state,
    load_state,
    save_state,
)
from lsp_keras.training.stopping import Announce, to_stderr
from lsp_keras.validation import InputError, check_positive

Logs = dict[str, float]


def run_training(
    trainer: keras.Model,
    make_epoch_batches: Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset],
    *,
    epochs: int,
    steps_per_epoch: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    state_dir: Path | str | None = None,
    resume: bool = False,
    deterministic: bool = True,
    announce: Announce = to_stderr,
) -> list[Logs]:
    """Trains for a number of epochs, each on its own batches, and keeps the state after each.

    After every epoch the callbacks run in order, then the state is written: variables of model
    and optimizer (with the step counter, which fixes all random draws), the logs so far, and
    the memory of each `StatefulCallback`. A run killed at any moment, also while writing, and
    called again with `resume=True` and the same arguments repeats the unfinished epoch and ends
    with the weights of an uninterrupted run, bit for bit on the same machine.

    Callbacks see one `on_train_begin` and one `on_train_end`. Order those that add to the logs
    (`RobustValidation`, `ThroughputProgress`) before those that read them (`BestAndLast`,
    `HistoryCSV`). Keras's own callbacks work, but remember nothing across a resume.

    Args:
        trainer: Compiled `RobustTrainer`, or another Keras model with a `seed`.
        make_epoch_batches: Function of the epoch, counted from 0, that returns its batches. The
            same epoch must give the same batches, and all epochs batches of the same structure and
            shapes, so that the step is traced once.
        epochs: Passes in all, those done before a resume included.
        steps_per_epoch: Batches of each epoch, for distributed ones, which do not know their
            number.
        callbacks: Run in this order.
        state_dir: Where `state.npz`, and as `previous.npz` that of the epoch before, are kept;
            `None` keeps nothing. Both carry a checksum.
        resume: Whether to go on from the state in `state_dir`, or from the one before where it is
            damaged; where there is none, training starts. Without it a state found there is
            removed.
        deterministic: Whether TensorFlow is switched to deterministic operations, for the whole
            process; see `make_deterministic`. Without them a resumed run can differ in the last
            bits.
        announce: Function that gets a sentence where a run does not go on from its last state;
            default a line on stderr.

    Returns:
        Logs of each epoch since the first, with `epoch` (from 1) and `learning_rate` (of the
        next step), those before a resume included.

    Raises:
        InputError: A value is wrong, or the state belongs to another model.
        NonFiniteLossError: The loss became NaN or infinite. State and files are still those of
            the last good epoch; the message names it.
        CollapseError: A `CollapseGuard` among the callbacks raised it; likewise.
    """
    _check(trainer, epochs, state_dir, resume)
    make_deterministic(trainer.seed, operations=deterministic)
    # Before the step is traced, as a resumed run must: else two graphs that round differently.
    if not trainer.optimizer.built:
        with trainer.distribute_strategy.scope():
            trainer.optimizer.build(trainer.trainable_variables)
    path = None if state_dir is None else Path(state_dir) / STATE_FILE
    state = _start(path, resume, trainer, callbacks, announce)
    recorder = _Recorder(state.history)
    container = _RunCallbacks([_EpochLogs(), *callbacks, recorder], add_history=True, model=trainer)
    for epoch in range(len(state.history), epochs):
        if state.stopped:
            break
        with _naming_epochs(epoch):
            batches = make_epoch_batches(epoch)
            _fit_epoch(trainer, batches, container, epoch, epochs, steps_per_epoch)
        state.stopped = bool(trainer.stop_training)
        if path is not None:
            state.replicas = workers_of(trainer).num_replicas
            save_state(path, state, trainer, callbacks)
    container.finish()
    return state.history


def make_deterministic(seed: int, *, operations: bool = True) -> None:
    """Seeds every generator and lets TensorFlow use deterministic operations only.

    It holds for the rest of the process. On a GPU call it before `compile`, since XLA is chosen
    there and does not support it.

    Args:
        seed: Seed of Python's, NumPy's and TensorFlow's generators.
        operations: Whether operations must be deterministic too, which costs time on a GPU.
    """
    keras.utils.set_random_seed(seed)
    if operations:
        tf.config.experimental.enable_op_determinism()


def _check(trainer: keras.Model, epochs: int, state_dir: Any, resume: bool) -> None:
    check_positive("epochs", epochs)
    if not trainer.compiled:
        raise InputError("Call `trainer.compile(...)` before `run_training`.")
    if resume and state_dir is None:
        raise InputError("`resume=True` needs the `state_dir` to resume from.")
    optimizer: Any = getattr(trainer.optimizer, "inner_optimizer", trainer.optimizer)
    if optimizer.use_ema:
        raise InputError(
            "`use_ema` replaces the weights by their average at the end of every `fit`, and here "
            "every epoch is one. Use an optimizer without it."
        )


def _start(
    path: Path | None,
    resume: bool,
    trainer: keras.Model,
    callbacks: Sequence[keras.callbacks.Callback],
    announce: Announce,
) -> RunState:
    if path is None:
        return RunState()
    remove_leftovers(path.parent)
    if resume and has_state(path.parent):
        state = load_state(path, trainer, callbacks, announce)
        if state is not None:
            return state
    elif resume:
        announce(f"There is no state in {path.parent} to go on from: the run starts anew.")
    clear_state(path)
    return RunState()


@contextlib.contextmanager
def _naming_epochs(epoch: int) -> Iterator[None]:
    """Adds to an error which epoch failed and which one the files are of."""
    try:
        yield
    except TrainingError as error:
        kept = (
            f"what it has written is that of epoch {epoch}, the last good one."
            if epoch
            else "no epoch was finished, so no weights are kept."
        )
        error.args = (f"{error} The run ended in epoch {epoch + 1}: {kept}",)
        raise


def _fit_epoch(
    trainer: keras.Model,
    batches: Any,
    container: "_RunCallbacks",
    epoch: int,
    epochs: int,
    steps_per_epoch: int | None,
) -> None:
    known = int(batches.cardinality()) if steps_per_epoch is None else steps_per_epoch
    steps = known if known > 0 else None
    container.set_params({"verbose": 0, "epochs": epochs, "steps": steps})
    with clear_errors():
        # Keras warns where `shuffle` keeps its default and the data are a tf.data.Dataset.
        trainer.fit(
            batches,
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=steps_per_epoch,
            callbacks=container,
            shuffle=False,
            verbose=0,
        )


class _RunCallbacks(keras.callbacks.CallbackList):
    """Makes many calls of `fit` look like one: a single begin and a single end of training."""

    begun = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.begun:
            self.begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.last_logs = logs

    def finish(self) -> None:
        """Ends the training."""
        if self.begun:
            super().on_train_end(self.last_logs)


class _EpochLogs(keras.callbacks.Callback):
    """Stops a run whose loss is not finite before anything is written; adds `learning_rate`."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        if not math.isfinite(logs["loss"]):
            raise NonFiniteLossError(message("loss"))
        rate = keras.ops.convert_to_tensor(self.model.optimizer.learning_rate)
        logs["learning_rate"] = float(rate)


class _Recorder(keras.callbacks.Callback):
    """Appends the logs of each epoch to the history, after all other callbacks."""

    def __init__(self, history: list[Logs]) -> None:
        super().__init__()
        self.rows = history

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **values})
