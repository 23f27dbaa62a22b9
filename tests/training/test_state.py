"""What is left of a run's state after damage of any kind, and what is said of it."""

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from lsp_keras.training import EarlyStopping, run_training
from lsp_keras.training.state import (
    PREVIOUS_FILE,
    STATE_FILE,
    RunState,
    has_sound_state,
    load_state,
    save_state,
    variables_of,
)
from lsp_keras.validation import InputError


def make_trainer(units: int = 3) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    return model


def values(trainer: keras.Model) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in variables_of(trainer).values()]


def write_epochs(folder: Path, count: int) -> list[list[np.ndarray]]:
    """States of several epochs; returns the variables of each."""
    written = []
    trainer, state, patience = make_trainer(), RunState(), EarlyStopping(3, metric="score")
    for epoch in range(count):
        for place, variable in enumerate(variables_of(trainer).values()):
            variable.assign(np.full(variable.shape, 10 * epoch + place, variable.dtype))
        patience.on_epoch_end(epoch, {"score": float(epoch)})
        state.history.append({"epoch": epoch + 1})
        save_state(folder / STATE_FILE, state, trainer, [patience])
        written.append(values(trainer))
    return written


def flip(place: float) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        index = int(place * len(content))
        return content[:index] + bytes([content[index] ^ 16]) + content[index + 1 :]

    return change


def with_other_numbers(content: bytes) -> bytes:
    """A sound .npz file with another number in it, as no reader notices by itself."""
    import io

    arrays = dict(np.load(io.BytesIO(content)))
    arrays["model/0"] = arrays["model/0"] + 1
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "all but a byte": lambda content: content[:-1],
    "noise": lambda content: os.urandom(len(content)),
    "zeros": lambda content: bytes(len(content)),
    "zeros at the end": lambda content: content[: len(content) // 2] + bytes(len(content) // 2),
    "other numbers": with_other_numbers,
}


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def load(folder: Path) -> tuple[RunState | None, keras.Model, EarlyStopping, list[str]]:
    said: list[str] = []
    trainer, patience = make_trainer(), EarlyStopping(3, metric="score")
    state = load_state(folder / STATE_FILE, trainer, [patience], said.append)
    return state, trainer, patience, said


def test_the_last_state_is_used_without_a_word(tmp_path: Path) -> None:
    written = write_epochs(tmp_path, 3)
    state, trainer, patience, said = load(tmp_path)
    assert state is not None
    assert [row["epoch"] for row in state.history] == [1, 2, 3]
    assert said == []
    assert patience.best_epoch == 3
    for found, expected in zip(values(trainer), written[2], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", [*DAMAGES, "missing"])
def test_a_damaged_state_gives_way_to_the_one_before(tmp_path: Path, name: str) -> None:
    written = write_epochs(tmp_path, 3)
    if name == "missing":
        (tmp_path / STATE_FILE).unlink()
    else:
        damage(tmp_path / STATE_FILE, DAMAGES[name])
    state, trainer, patience, said = load(tmp_path)
    assert state is not None
    assert len(state.history) == 2
    assert patience.best_epoch == 2
    assert said[0].startswith(f"{tmp_path / STATE_FILE} is not used: ")
    assert said[1] == f"Going on from {tmp_path / PREVIOUS_FILE}, after epoch 2."
    assert has_sound_state(tmp_path)
    for found, expected in zip(values(trainer), written[1], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("place", np.linspace(0, 0.999, 40))
def test_no_flipped_bit_changes_what_is_loaded(tmp_path: Path, place: float) -> None:
    written = write_epochs(tmp_path, 2)
    damage(tmp_path / STATE_FILE, flip(place))
    state, trainer, _, _ = load(tmp_path)
    assert state is not None
    for found, expected in zip(values(trainer), written[len(state.history) - 1], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", DAMAGES)
def test_with_both_damaged_nothing_is_taken_over(tmp_path: Path, name: str) -> None:
    write_epochs(tmp_path, 2)
    untouched = values(make_trainer())
    for file in (STATE_FILE, PREVIOUS_FILE):
        damage(tmp_path / file, DAMAGES[name])
    state, trainer, patience, said = load(tmp_path)
    assert state is None
    assert patience.best_epoch == 0
    assert said[-1] == f"No sound state is left in {tmp_path}: the run starts anew."
    assert not has_sound_state(tmp_path)
    assert [item.shape for item in values(trainer)] == [item.shape for item in untouched]
    assert all(np.max(np.abs(item), initial=0) < 2 for item in values(trainer))


def test_a_sound_state_of_another_model_is_an_error(tmp_path: Path) -> None:
    write_epochs(tmp_path, 2)
    with pytest.raises(InputError, match="state of a run with another model or optimizer"):
        load_state(tmp_path / STATE_FILE, make_trainer(units=300), [], print)


def test_a_state_from_before_checksums_is_used(tmp_path: Path) -> None:
    written = write_epochs(tmp_path, 1)
    arrays = dict(np.load(tmp_path / STATE_FILE))
    del arrays["checksum"]
    np.savez(tmp_path / STATE_FILE, **arrays)
    state, trainer, _, said = load(tmp_path)
    assert state is not None
    assert said == []
    for found, expected in zip(values(trainer), written[0], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    write_epochs(tmp_path, 2)
    (tmp_path / STATE_FILE).replace(tmp_path / PREVIOUS_FILE)
    state, _, _, said = load(tmp_path)
    assert state is not None
    assert len(state.history) == 2
    assert said[0] == f"{tmp_path / STATE_FILE} is not used: there is no such file."


def test_resuming_without_any_state_says_so(tmp_path: Path) -> None:
    import tensorflow as tf

    said: list[str] = []
    trainer = make_trainer()
    trainer.seed = 0
    batches = tf.data.Dataset.from_tensor_slices((np.ones((4, 4)), np.ones((4, 3)))).batch(2)
    run_training(
        trainer,
        lambda epoch: batches,
        epochs=1,
        state_dir=tmp_path,
        resume=True,
        deterministic=False,
        announce=said.append,
    )
    assert said == [f"There is no state in {tmp_path} to go on from: the run starts anew."]
    assert (tmp_path / STATE_FILE).exists()
