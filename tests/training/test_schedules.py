import math

import keras
import numpy as np
import pytest

from lsp_keras.training import SCHEDULES, OneCycleMomentum, schedule
from lsp_keras.validation import InputError


def rate(made: object, step: int) -> float:
    return float(made(step)) if callable(made) else float(made)  # type: ignore[arg-type]


def test_step_drops_at_epochs_75_and_90_of_100() -> None:
    made = schedule("step", 0.1, 100 * 7)
    rates = [rate(made, step) for step in (0, 75 * 7 - 1, 75 * 7, 90 * 7 - 1, 90 * 7, 699)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-5)


def test_one_cycle_follows_pytorch_step_by_step() -> None:
    total, top = 40, 0.25 * 40 - 1
    made = schedule("one_cycle", 0.21, total)
    for step in range(total):
        if step <= top:
            first, last, part = 0.21 / 25, 0.21, step / top
        else:
            first, last, part = 0.21, 0.21 / 25 / 1e4, (step - top) / (total - 1 - top)
        expected = last + (first - last) / 2 * (1 + math.cos(math.pi * part))
        assert rate(made, step) == pytest.approx(expected, rel=1e-3, abs=1e-8)
    assert rate(made, 9) == pytest.approx(0.21)
    assert rate(made, 10 * total) == pytest.approx(0.21 / 25e4, rel=0.05)


def test_one_cycle_momentum_follows_pytorch_step_by_step() -> None:
    total, top = 40, 0.25 * 40 - 1
    made = OneCycleMomentum(total)
    for step in range(total):
        part = step / top if step <= top else 1 - (step - top) / (total - 1 - top)
        expected = 0.85 + 0.1 / 2 * (1 + math.cos(math.pi * part))
        assert rate(made, step) == pytest.approx(expected, abs=1e-6)
    assert [rate(made, step) for step in (0, 9, 39, 400)] == pytest.approx([0.95, 0.85, 0.95, 0.95])
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert copy.get_config() == made.get_config()


def test_cosine_is_half_in_the_middle_and_zero_at_the_end() -> None:
    made = schedule("cosine", 0.1, 200)
    np.testing.assert_allclose([rate(made, step) for step in (0, 100, 200)], [0.1, 0.05, 0])


def test_cyclic_is_a_triangle() -> None:
    made = schedule("cyclic", 0.2, 40)
    rates = [rate(made, step) for step in (0, 1, 10, 20, 30, 39, 40, 50)]
    np.testing.assert_allclose(rates, [0, 0.01, 0.1, 0.2, 0.1, 0.01, 0, 0], atol=1e-7)


def test_constant_stays() -> None:
    assert schedule("constant", 0.05, 10) == 0.05


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total_steps", [1, 2, 3, 1000])
def test_every_schedule_is_finite_and_at_most_its_highest(name: str, total_steps: int) -> None:
    made = schedule(name, 0.1, total_steps)
    rates = [rate(made, step) for step in range(min(total_steps, 50) + 2)]
    assert all(0 <= value <= 0.1 + 1e-7 for value in rates)


@pytest.mark.parametrize("name", ["step", "one_cycle", "cosine", "cyclic"])
def test_every_schedule_survives_serialization(name: str) -> None:
    made = schedule(name, 0.1, 30)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert [rate(copy, step) for step in range(30)] == [rate(made, step) for step in range(30)]


def test_wrong_values_are_named() -> None:
    with pytest.raises(InputError, match=r"`schedule` must be one of .* Did you mean 'cosine'"):
        schedule("cosin", 0.1, 10)
    with pytest.raises(InputError, match="`learning_rate` must be greater than zero"):
        schedule("step", 0.0, 10)
    with pytest.raises(InputError, match="`total_steps` must be greater than zero"):
        schedule("one_cycle", 0.1, 0)
