import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.pgd import PGD
from lsp_keras.inference.folding import folded

SHAPE = (9, 8, 4)
IMAGES = np.random.default_rng(0).random((5, *SHAPE), np.float32)


def trained(model: keras.Model) -> keras.Model:
    """The model with weights and statistics that are nowhere 0 or 1."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.3, 1.7, weight.shape) for weight in model.get_weights()])
    return model


def chain(*parts: keras.Layer) -> keras.Model:
    images = keras.Input(SHAPE)
    values = images
    for part in parts:
        values = part(values)
    return trained(keras.Model(images, values))


def answer_and_slope(model: keras.Model) -> list[np.ndarray]:
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        answer = model(images, training=False)
        total = tf.reduce_sum(tf.sin(answer))
    return [answer.numpy(), tape.gradient(total, images).numpy()]


def assert_same(found: keras.Model, expected: keras.Model) -> None:
    for one, other in zip(answer_and_slope(found), answer_and_slope(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * abs(other).max())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_bias": False},
        {"strides": 2, "padding": "same"},
        {"dilation_rate": 2},
        {"groups": 2},
    ],
)
@pytest.mark.parametrize("normalization", [{}, {"scale": False}, {"center": False, "epsilon": 0.1}])
def test_a_normalization_becomes_part_of_the_convolution(options, normalization) -> None:
    model = chain(
        layers.Conv2D(6, 3, **options), layers.BatchNormalization(**normalization), layers.ReLU()
    )
    found = folded(model)
    assert [type(layer).__name__ for layer in found.layers] == [
        "InputLayer",
        "NormalizedConvolution",
        "ReLU",
    ]
    assert_same(found, model)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_folded_as_exactly_as_it_computes(policy: str) -> None:
    """Both differ from float32 by their own rounding alone: folding adds no error of its own."""
    half, full = (
        chain(
            layers.Conv2D(6, 3, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.ReLU(dtype=dtype),
            layers.Conv2D(5, 3, use_bias=False, dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Activation("linear", dtype="float32"),
        )
        for dtype in (policy, "float32")
    )
    found = folded(half)
    assert sum(type(item).__name__ == "NormalizedConvolution" for item in found.layers) == 2
    assert {item.dtype_policy.name for item in found.layers if item.weights} == {policy}
    for one, other, exact in zip(*map(answer_and_slope, (found, half, full)), strict=True):
        assert one.dtype == np.float32
        spread = np.abs(other - exact).mean()
        assert spread > 0
        assert np.abs(one - exact).mean() < 1.5 * spread


def test_weights_that_change_later_count() -> None:
    model = chain(layers.Conv2D(6, 3), layers.BatchNormalization())
    found = folded(model)
    model.set_weights([0.9 * weight for weight in model.get_weights()])
    assert_same(found, model)


def test_inner_and_sequential_models_are_folded_too() -> None:
    inner = keras.Sequential(
        [keras.Input(SHAPE), layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU()]
    )
    model = trained(keras.Sequential([keras.Input(SHAPE), inner, layers.Flatten()]))
    found = folded(model)
    assert found is not model
    assert "BatchNormalization" not in {type(part).__name__ for part in found.layers[1].layers}
    assert_same(found, model)


def test_a_convolution_that_something_else_reads_stays_too() -> None:
    images = keras.Input(SHAPE)
    convolved = layers.Conv2D(6, 3)(images)
    normalized = layers.BatchNormalization()(convolved)
    model = trained(keras.Model(images, layers.Add()([convolved, normalized])))
    assert_same(folded(model), model)


def test_the_model_itself_stays_as_it_was(tmp_path) -> None:
    model = chain(layers.Conv2D(6, 3), layers.BatchNormalization(), layers.Flatten())
    before, config = answer_and_slope(model), model.get_config()
    folded(model)
    assert model.get_config() == config
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(answer_and_slope(loaded)[0], before[0])


@pytest.mark.parametrize("attack", [PGD(epsilon=0.1), APGD(epsilon=0.1, num_steps=10)])
def test_attacks_find_what_they_find_on_the_model_as_it_is(attack) -> None:
    model = chain(layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten())
    labels = answer_and_slope(model)[0].argmax(axis=1)
    found = attack(model, IMAGES, labels, seed=0)
    expected = attack(lambda images: model(images, training=False), IMAGES, labels, seed=0)
    np.testing.assert_array_equal(found.success, expected.success)
    np.testing.assert_allclose(found.images, expected.images, atol=1e-3)


class Doubling(keras.Model):
    """More than its layers."""

    def call(self, values):
        return 2.0 * super().call(values)


def doubling() -> keras.Model:
    images = keras.Input(SHAPE)
    return Doubling(images, layers.BatchNormalization()(layers.Conv2D(6, 3)(images)))


@pytest.mark.parametrize(
    "model",
    [
        tf.identity,
        doubling(),
        keras.Sequential([layers.Conv2D(6, 3), layers.BatchNormalization()]),
        chain(layers.Conv2D(6, 3, activation="relu"), layers.BatchNormalization()),
        chain(layers.Conv2D(6, 3), layers.BatchNormalization(axis=1)),
        chain(layers.Conv2D(6, 3), layers.ReLU(), layers.BatchNormalization()),
        chain(layers.Conv2D(6, 3, dtype="mixed_float16"), layers.BatchNormalization()),
    ],
)
def test_what_cannot_be_folded_is_returned_unchanged(model) -> None:
    assert folded(model) is model
