from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lsp_keras.training import TensorBoardScalars


def points(folder: Path, name: str) -> list[tuple[int, Any]]:
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_values_are_there_while_the_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tensorboard"
    callback = TensorBoardScalars(folder)
    callback.on_epoch_end(0, {"loss": 2.3, "val_accuracy": float(np.float32(0.1))})
    callback.on_epoch_end(1, {"loss": 1.7, "val_accuracy": 0.25})
    assert points(folder, "loss") == [(1, np.float32(2.3)), (2, np.float32(1.7))]
    assert points(folder, "val_accuracy") == [(1, np.float32(0.1)), (2, 0.25)]


def test_epochs_that_are_repeated_after_a_kill_replace_the_earlier_ones(tmp_path: Path) -> None:
    killed = TensorBoardScalars(tmp_path)
    for epoch, loss in enumerate([4.0, 3.0, 2.0]):
        killed.on_epoch_end(epoch, {"loss": loss})
    with next(tmp_path.iterdir()).open("ab") as file:
        file.write(b"half a record")
    resumed = TensorBoardScalars(tmp_path)
    resumed.on_epoch_end(1, {"loss": 3.5})
    resumed.on_train_end()
    assert len(list(tmp_path.iterdir())) == 2
    assert points(tmp_path, "loss") == [(1, 4.0), (2, 3.5)]


def test_nothing_is_written_before_there_is_an_epoch(tmp_path: Path) -> None:
    callback = TensorBoardScalars(tmp_path / "tensorboard")
    callback.on_train_begin()
    callback.on_train_end()
    assert list(tmp_path.iterdir()) == []
