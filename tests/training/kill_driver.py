"""Trains once without a break, then in child processes that are killed until one ends.

    python kill_driver.py UNBROKEN_FOLDER KILLED_FOLDER PLAN...

Each plan is `FUNCTION:CALL`: a child is killed by SIGKILL in that call of that function, after
half of the file it writes is on disk where it writes one; `time:SECONDS` kills from outside.
The last child has no plan. Children are forked after the imports, which take most of the time.
"""

import csv
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import StandardTrainer
from lsp_keras.training import (
    BestAndLast,
    CollapseGuard,
    CoupledSGD,
    EarlyStopping,
    HistoryCSV,
    RobustValidation,
    TensorBoardScalars,
    run_training,
    schedule,
)
from lsp_keras.types import Examples

EPOCHS = 4
TRAIN, VALIDATION, CLASSES = 24, 8, 3
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, size=(TRAIN + VALIDATION, 8, 8, 3)).astype(np.uint8)
LABELS = np.arange(TRAIN + VALIDATION) % CLASSES


def batches(epoch: int) -> tf.data.Dataset:
    order = np.random.default_rng(epoch).permutation(TRAIN)
    images = IMAGES[order].astype(np.float32) / 255
    return tf.data.Dataset.from_tensor_slices((images, LABELS[order])).batch(8)


def train(folder: Path) -> None:
    keras.utils.set_random_seed(0)
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.2),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES),
        ]
    )
    trainer = StandardTrainer(classifier, seed=3)
    rate = schedule("one_cycle", 0.2, EPOCHS * 3)
    trainer.compile(CoupledSGD(rate, weight_decay=5e-4), metrics=["accuracy"])
    held_out = np.arange(TRAIN, TRAIN + VALIDATION)
    split = Examples(IMAGES[held_out], LABELS[held_out], held_out)
    run_training(
        trainer,
        batches,
        epochs=EPOCHS,
        callbacks=[
            RobustValidation(split, PGD(epsilon="8/255", num_steps=1)),
            CollapseGuard(split.labels),
            BestAndLast(folder / "best.keras", folder / "last.keras"),
            EarlyStopping(EPOCHS),
            HistoryCSV(folder / "history.csv"),
            TensorBoardScalars(folder / "tensorboard"),
        ],
        state_dir=folder,
        resume=True,
    )


def kill_in(owner: Any, name: str, call: int) -> None:
    """Makes one call of `owner.name` write half a file, then kill this process."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = [0]

    def killing(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] < call:
            return original(*arguments, **options)
        for path in (item for item in arguments if isinstance(item, Path)):
            # Only the temporary name: a rename gets the final one too.
            if path.name.startswith("."):
                path.write_bytes(os.urandom(1000))
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killing)


PLACES: dict[str, tuple[Any, str]] = {
    "step": (keras.callbacks.CallbackList, "on_train_batch_end"),
    "validation": (RobustValidation, "measure"),
    "model": (keras.Model, "save"),
    "state": (np, "savez"),
    "table": (csv.DictWriter, "writerows"),
    "rename": (Path, "replace"),
}


def run_child(folder: Path, plan: str) -> int:
    """Exit status of one forked child: 9 where SIGKILL ended it."""
    place, _, argument = plan.partition(":")
    child = os.fork()
    if child == 0:
        if place in PLACES:
            kill_in(*PLACES[place], int(argument))
        train(folder)
        os._exit(0)
    if place == "time":
        time.sleep(float(argument))
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    unbroken, killed = Path(sys.argv[1]), Path(sys.argv[2])
    print("unbroken", run_child(unbroken, "end"), flush=True)
    for item in sys.argv[3:]:
        print(item, run_child(killed, item), flush=True)
    print("resumed", run_child(killed, "end"), flush=True)
