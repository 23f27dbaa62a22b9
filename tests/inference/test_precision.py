from collections.abc import Iterator

import keras
import numpy as np
import pytest

from lsp_keras.attacks.pgd import PGD
from lsp_keras.inference.logits import inference_logits
from lsp_keras.inference.precision import in_full_precision

IMAGES = np.random.default_rng(0).random((16, 6, 6, 3), dtype=np.float32)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16", "float16"])
def policy(request) -> Iterator[str]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Rescaling(2.0, offset=-1.0),
            keras.layers.Conv2D(8, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(16, "relu")]),
            keras.layers.Dense(4),
        ]
    )


def in_float32(half: keras.Model) -> keras.Model:
    """A network of its own with the same weights and the usual precision."""
    keras.config.set_dtype_policy("float32")
    full = network()
    full.set_weights(half.get_weights())
    return full


def test_it_computes_what_a_float32_network_with_its_weights_does(policy) -> None:
    half = network()
    found = inference_logits(in_full_precision(half))(IMAGES).numpy()
    rounded = inference_logits(half)(IMAGES).numpy()
    exact = in_float32(half)(IMAGES, training=False).numpy()
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-6)
    # The model itself still rounds as before.
    assert np.abs(rounded - exact).max() > 1e-5
    np.testing.assert_array_equal(inference_logits(half)(IMAGES), rounded)


def test_it_follows_later_changes_of_the_weights(policy) -> None:
    half = network()
    logits = in_full_precision(half)
    half.set_weights([2.0 * weight for weight in half.get_weights()])
    found = inference_logits(logits)(IMAGES)
    np.testing.assert_allclose(found, in_float32(half)(IMAGES, training=False), rtol=1e-4)


def test_an_attack_finds_what_it_finds_on_the_float32_network(policy) -> None:
    half = network()
    attack = PGD(epsilon=0.02, num_steps=5)
    labels = half(IMAGES, training=False).numpy().argmax(axis=1)
    found = attack(half, IMAGES, labels, seed=0)
    expected = attack(in_float32(half), IMAGES, labels, seed=0)
    both = found.images, expected.images
    attacked = ~(both[0] == IMAGES).all(axis=(1, 2, 3)) & ~(both[1] == IMAGES).all(axis=(1, 2, 3))
    assert attacked.sum() > 8
    np.testing.assert_allclose(both[0][attacked], both[1][attacked], atol=1e-4)
    # The verdict is the model's own.
    np.testing.assert_array_equal(
        found.success, half(found.images, training=False).numpy().argmax(axis=1) != labels
    )


def test_a_model_in_float32_is_taken_as_it_is() -> None:
    model = network()
    assert in_full_precision(model) is model
