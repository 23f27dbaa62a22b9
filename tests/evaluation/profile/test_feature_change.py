import keras
import numpy as np
import pytest

from lsp_keras.evaluation.profile.feature_change import feature_changes
from lsp_keras.evaluation.profile.layers import kernel_layers

IMAGES = np.array([0.5, 0.25], np.float32).reshape(2, 1, 1, 1) * np.ones((1, 1, 2, 1), np.float32)
MOVE = np.array([[0.1, 0.1]], np.float32).reshape(1, 1, 2, 1)


def dense_model(kernel) -> keras.Model:
    outputs = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten(), outputs])
    outputs.set_weights([np.array(kernel, np.float32)])
    return model


def measure(model, move=MOVE):
    layers = kernel_layers(model)
    return feature_changes(
        model, layers, IMAGES, IMAGES + move, seed=0, batch_size=1, num_directions=32
    )


def test_the_identity_moves_alike_in_all_directions() -> None:
    (found,) = measure(dense_model(np.eye(2)))
    # |d| / |x| is 0.1 / 0.5 and 0.1 / 0.25.
    assert found.adversarial == pytest.approx(0.3)
    assert found.random == pytest.approx(0.3)
    assert found.unevenness == pytest.approx(0.0, abs=1e-6)
    assert found.ratio == pytest.approx(1.0)


def test_a_map_of_rank_one_moves_in_one_direction_only() -> None:
    (found,) = measure(dense_model([[1.0, 0.0], [1.0, 0.0]]))
    # Alike signs move it as far as the adversarial direction, opposite ones not at all.
    assert found.adversarial == pytest.approx(0.3)
    assert 0.3 * 0.2 < found.random < 0.3 * 0.8
    assert 0.6 < found.unevenness < 2.0


def test_features_that_are_zero_do_not_divide() -> None:
    (found,) = measure(dense_model(np.zeros((2, 2))))
    assert (found.adversarial, found.random, found.unevenness, found.ratio) == (0, 0, 0, 0)


def test_batch_norm_belongs_to_the_layer() -> None:
    conv, norm = keras.layers.Conv2D(1, 1, use_bias=False), keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((1, 2, 1)), conv, norm])
    conv.set_weights([np.ones((1, 1, 1, 1))])
    norm.set_weights([np.ones(1), np.ones(1), np.zeros(1), np.ones(1) - norm.epsilon])
    (found,) = measure(model)
    # h = x + 1: 0.1 / 1.5 and 0.1 / 1.25.
    assert found.layer == conv.name
    assert found.adversarial == pytest.approx((0.1 / 1.5 + 0.1 / 1.25) / 2)
