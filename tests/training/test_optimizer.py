import math

import keras
import numpy as np
import pytest

from lsp_keras.training import CoupledSGD, OneCycleMomentum
from lsp_keras.validation import InputError

GRADIENTS = [0.5, -1.0, 0.25, 0.0, 2.0]
RATES = [0.1, 0.1, 0.01, 0.01, 0.01]


@keras.saving.register_keras_serializable("tests")
class Drop(keras.optimizers.schedules.LearningRateSchedule):
    """0.1 for two steps, then 0.01."""

    def __call__(self, step: object) -> object:
        return keras.ops.where(keras.ops.cast(step, "int32") < 2, 0.1, 0.01)

    def get_config(self) -> dict[str, object]:
        return {}


def trajectory(optimizer: keras.optimizers.Optimizer) -> list[float]:
    variable = keras.Variable([1.0])
    weights = []
    for gradient in GRADIENTS:
        optimizer.apply([np.asarray([gradient], np.float32)], [variable])
        weights.append(float(variable[0]))
    return weights


@pytest.mark.parametrize("nesterov", [True, False])
def test_follows_pytorch_through_a_drop_of_the_learning_rate(nesterov: bool) -> None:
    weight, velocity, expected = 1.0, 0.0, []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        decayed = gradient + 0.05 * weight
        velocity = 0.9 * velocity + decayed
        weight -= rate * (decayed + 0.9 * velocity if nesterov else velocity)
        expected.append(weight)
    optimizer = CoupledSGD(Drop(), nesterov=nesterov, weight_decay=0.05)
    np.testing.assert_allclose(trajectory(optimizer), expected, rtol=1e-5)


@pytest.mark.parametrize("nesterov", [True, False])
def test_follows_pytorch_through_a_cycle_of_the_momentum(nesterov: bool) -> None:
    """PyTorch sets the momentum of each step before the step."""
    weight, velocity, expected = 1.0, 0.0, []
    for gradient, momentum in zip(GRADIENTS, [0.95, 0.85, 0.875, 0.925, 0.95], strict=True):
        decayed = gradient + 0.05 * weight
        velocity = momentum * velocity + decayed
        weight -= 0.1 * (decayed + momentum * velocity if nesterov else velocity)
        expected.append(weight)
    cycle = OneCycleMomentum(5, warm_up=0.4)
    optimizer = CoupledSGD(0.1, momentum=cycle, nesterov=nesterov, weight_decay=0.05)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    np.testing.assert_allclose(trajectory(optimizer), expected, rtol=1e-5)
    np.testing.assert_allclose(trajectory(copy), expected, rtol=1e-5)


def test_without_decay_and_drops_it_is_keras_own() -> None:
    ours = trajectory(CoupledSGD(0.1, momentum=0.9, nesterov=True))
    keras_own = trajectory(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))
    np.testing.assert_allclose(ours, keras_own, rtol=1e-5)


def test_clips_the_gradient_before_the_decay() -> None:
    variable = keras.Variable([2.0])
    optimizer = CoupledSGD(1.0, momentum=0.0, weight_decay=0.1, global_clipnorm=1.0)
    optimizer.apply([np.asarray([30.0], np.float32)], [variable])
    assert float(variable[0]) == pytest.approx(2.0 - (1.0 + 0.1 * 2.0))


def test_clips_all_gradients_by_one_norm() -> None:
    """(3, 4, 12) has the norm 13; one that is short enough stays as it is."""
    variables = [keras.Variable([0.0, 0.0]), keras.Variable([0.0])]
    optimizer = CoupledSGD(1.0, momentum=0.0, global_clipnorm=6.5)
    optimizer.apply([np.asarray([3.0, 4.0], np.float32), np.asarray([12.0], np.float32)], variables)
    np.testing.assert_allclose(np.concatenate([*variables]), [-1.5, -2.0, -6.0], rtol=1e-6)
    optimizer.apply([np.asarray([1.0, 0.0], np.float32), np.asarray([0.5], np.float32)], variables)
    np.testing.assert_allclose(np.concatenate([*variables]), [-2.5, -2.0, -6.5], rtol=1e-6)


def test_clips_under_mixed_precision_after_the_loss_scale_is_undone() -> None:
    """A loss scale of 1024 makes the norm 1024 times larger; the step must not see it."""
    variable = keras.Variable([2.0])
    inner = CoupledSGD(1.0, momentum=0.0, weight_decay=0.1, global_clipnorm=1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0)
    optimizer.build([variable])
    for gradient, clipped in ((0.5, 0.5), (30.0, 1.0)):
        before = float(variable[0])
        optimizer.apply([np.asarray([1024 * gradient], np.float32)], [variable])
        assert float(variable[0]) == pytest.approx(before - (clipped + 0.1 * before))


def test_excluded_variables_do_not_decay() -> None:
    first, second = keras.Variable([1.0], name="kernel"), keras.Variable([1.0], name="gamma")
    optimizer = CoupledSGD(0.1, momentum=0.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["gamma"])
    optimizer.apply([np.zeros(1, np.float32)] * 2, [first, second])
    assert float(first[0]) == pytest.approx(0.95)
    assert float(second[0]) == 1.0


def test_config_gives_an_equal_optimizer() -> None:
    optimizer = CoupledSGD(Drop(), momentum=0.8, weight_decay=0.05, global_clipnorm=3.0)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config()
    np.testing.assert_array_equal(trajectory(copy), trajectory(optimizer))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.0}, r"`momentum` must be in \[0, 1\)\. Received: momentum=1"),
        ({"weight_decay": -1e-4}, "`weight_decay` must be zero or more"),
        ({"weight_decay": math.nan}, "`weight_decay` must be zero or more"),
    ],
)
def test_refuses_wrong_values(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CoupledSGD(0.1, **options)  # type: ignore[arg-type]
