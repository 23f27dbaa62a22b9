from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lsp_keras.inference.fused import FusedNormalization, PointwiseConvolution, fused
from lsp_keras.models import preact_resnet18, resnet18

SHAPE = (9, 8, 4)
IMAGES = np.random.default_rng(0).random((5, *SHAPE), np.float32)


def chain(*parts: keras.Layer) -> keras.Model:
    images = keras.Input(SHAPE)
    values = images
    for part in parts:
        values = part(values)
    model = keras.Model(images, values)
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            1.0 * (weight.ndim == 1) + rng.normal(0.0, 0.2, weight.shape)
            for weight in model.get_weights()
        ]
    )
    return model


def block() -> keras.Model:
    return chain(layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU())


def count(model: keras.Model) -> int:
    """Fused normalizations, nested ones included."""
    return sum(
        count(layer) if hasattr(layer, "layers") else isinstance(layer, FusedNormalization)
        for layer in model.layers
    )


def step(model: keras.Model, images: np.ndarray, training: bool) -> list[np.ndarray]:
    """Outputs and gradients of all weights and of the images; the averages move."""
    values = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(values)
        answer = tf.cast(model(values, training=training), tf.float32)
        total = tf.reduce_sum(tf.sin(answer))
    slopes = tape.gradient(total, [values, *model.trainable_variables])
    return [np.asarray(item) for item in [answer, *slopes]]


def assert_same(one: keras.Model, other: keras.Model, images: np.ndarray) -> None:
    for training in (True, False):
        pairs = zip(step(one, images, training), step(other, images, training), strict=True)
        for found, expected in pairs:
            np.testing.assert_allclose(
                found, expected, rtol=1e-3, atol=1e-5 * max(1.0, np.abs(expected).max())
            )
    for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": False}, {"center": False}, {"momentum": 0.5, "epsilon": 0.1}, {"axis": 3}],
)
def test_outputs_gradients_and_averages_are_those_of_keras(options: dict[str, float]) -> None:
    # Without a bias, whose gradient in front of a normalization is nothing but rounding.
    one, other = (
        chain(
            layers.Conv2D(6, 3, use_bias=False), layers.BatchNormalization(**options), layers.ReLU()
        )
        for _ in range(2)
    )
    network = fused(one)
    assert count(network) == 1
    assert [id(v) for v in network.variables] == [id(v) for v in one.variables]
    assert_same(network, other, IMAGES)


@pytest.mark.parametrize("build", [resnet18, preact_resnet18])
def test_a_resnets_loss_is_equal_to_a_millionth(build: Callable[..., keras.Model]) -> None:
    one, other = (build(10, width=4, seed=3) for _ in range(2))
    network = fused(one)
    normalizations = [layer for layer in one.layers if "batch" in type(layer).__name__.lower()]
    assert count(network) == len(normalizations) > 10
    images = np.random.default_rng(2).random((16, 32, 32, 3), np.float32)
    labels = np.arange(16) % 10
    losses = [
        keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
            labels, model(images, training=True)
        )
        for model in (network, other)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_compiled_by_xla_it_is_the_same() -> None:
    one, other = block(), block()
    network = fused(one)
    compiled = tf.function(lambda x: network(x, training=True), jit_compile=True)
    np.testing.assert_allclose(compiled(IMAGES), other(IMAGES, training=True), rtol=1e-3, atol=1e-4)
    for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_frozen_normalizations_keep_their_averages() -> None:
    one, other = block(), block()
    for model in (one, other):
        model.layers[2].trainable = False
    assert_same(fused(one), other, IMAGES)


def test_assignments_are_dropped_with_the_scope_they_are_made_in() -> None:
    model = block()
    before = model.get_weights()
    with keras.StatelessScope():
        fused(model)(IMAGES, training=True)
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_second_derivatives_are_right() -> None:
    """The slope of the slope, as local flatness regularization by double backpropagation needs.

    Against the formula in float64: Keras holds the mean fixed within the variance, which only
    first derivatives bear.
    """

    def curvature(network: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray) -> np.ndarray:
        values = tf.constant(images)
        with tf.GradientTape() as outer:
            outer.watch(values)
            with tf.GradientTape() as inner:
                inner.watch(values)
                total = tf.reduce_sum(tf.sin(network(values)))
            length = tf.reduce_sum(inner.gradient(total, values) ** 2)
        return outer.gradient(length, values).numpy()

    model = chain(layers.Conv2D(6, 3), layers.BatchNormalization(), layers.Activation("silu"))
    kernel, bias, gamma, beta, *_ = (weight.astype(np.float64) for weight in model.get_weights())

    def formula(images: tf.Tensor) -> tf.Tensor:
        values = tf.nn.conv2d(images, kernel, 1, "VALID") + bias
        mean = tf.reduce_mean(values, axis=[0, 1, 2])
        variance = tf.reduce_mean((values - mean) ** 2, axis=[0, 1, 2])
        return tf.nn.silu((values - mean) / tf.sqrt(variance + 1e-3) * gamma + beta)

    network = fused(model)
    found = curvature(lambda images: network(images, training=True), IMAGES)
    expected = curvature(formula, IMAGES.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_stays_close(policy: str) -> None:
    def half() -> keras.Model:
        return chain(
            layers.Conv2D(6, 3, dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.Activation("relu", dtype="float32"),
        )

    one, other = half(), half()
    network = fused(one)
    assert count(network) == 1
    np.testing.assert_allclose(
        network(IMAGES, training=True), other(IMAGES, training=True), rtol=0.03, atol=0.03
    )
    for found, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.01)


def test_nested_and_sequential_models_are_fused_inside() -> None:
    inner = keras.Sequential([layers.Conv2D(6, 3), layers.BatchNormalization()])
    model = chain(inner, layers.ReLU())
    network = fused(model)
    assert count(network) == 1
    np.testing.assert_allclose(
        network(IMAGES, training=True), model(IMAGES, training=True), rtol=1e-4, atol=1e-5
    )


def test_what_has_nothing_to_fuse_stays_itself() -> None:
    dense = chain(layers.Flatten(), layers.Dense(3), layers.BatchNormalization())
    assert fused(dense) is dense

    def function(images: tf.Tensor) -> tf.Tensor:
        return images

    assert fused(function) is function


def test_what_is_saved_is_the_model_as_it_was(tmp_path: Path) -> None:
    model = block()
    fused(model)(IMAGES, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    for found, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [2, (2, 3)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_a_strided_1x1_convolution_is_the_same_for_any_batch(
    padding: str, strides: int | tuple[int, int], use_bias: bool
) -> None:
    model = chain(
        layers.Conv2D(6, 1, strides, padding, use_bias=use_bias, activation="relu"),
        layers.Conv2D(3, 3),
    )
    found = fused(model)
    assert any(isinstance(layer, PointwiseConvolution) for layer in found.layers)
    assert found.output_shape == model.output_shape
    assert_same(found, model, IMAGES)
    assert_same(found, model, IMAGES[:4])


def test_other_convolutions_stay_as_they_are() -> None:
    model = chain(layers.Conv2D(6, 1), layers.Conv2D(4, 3, 2), layers.Conv2D(4, 1, 2, groups=2))
    assert fused(model) is model
