from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras.training import CoupledSGD
from lsp_keras.training.fine_tuning import (
    FineTuningSGD,
    batch_norm_layers,
    convert_batch_norm,
    freeze_batch_norm,
    head_of,
)
from lsp_keras.validation import InputError

layers = keras.layers


def network() -> keras.Model:
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(3, 3, kernel_initializer=keras.initializers.HeNormal(seed=0)),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
        ]
    )
    head = layers.Dense(2, name="logits", kernel_initializer=keras.initializers.HeNormal(seed=1))
    return keras.Sequential([keras.Input((4, 4, 2)), inner, head])


def test_the_head_is_the_last_layer_with_weights() -> None:
    model = network()
    assert head_of(model) == [variable.path for variable in model.get_layer("logits").variables]


def test_the_backbone_learns_later_and_slower() -> None:
    """One weight of each against CoupledSGD's formula, step by step."""
    head, other = (keras.Variable([2.0], name=name) for name in ("head", "other"))
    plain_head, plain_other = (keras.Variable([2.0], name=name) for name in ("a", "b"))
    options: dict[str, Any] = {"momentum": 0.5, "weight_decay": 0.1}
    ours = FineTuningSGD(0.2, head=[head.path], backbone_rate=0.25, frozen_steps=2, **options)
    full, slow = CoupledSGD(0.2, **options), CoupledSGD(0.05, **options)
    for step in range(5):
        gradient = keras.ops.convert_to_tensor([1.0 + step])
        ours.apply([gradient, gradient], [head, other])
        full.apply([gradient], [plain_head])
        if step < 2:
            np.testing.assert_array_equal(other, [2.0])
            # The weight decay has moved the velocity, and nothing else has.
            velocity = 0.1 * 2.0 * (1 - 0.5 ** (step + 1)) / 0.5
            np.testing.assert_allclose(ours.velocities[1], [velocity], rtol=1e-6)
        else:
            if step == 2:
                slow.build([plain_other])
                slow.velocities[0].assign([0.3])
            slow.apply([gradient], [plain_other])
            np.testing.assert_allclose(other, plain_other, rtol=1e-6)
        np.testing.assert_allclose(head, plain_head, rtol=1e-6)


def test_it_is_rebuilt_from_its_settings() -> None:
    first = FineTuningSGD(0.2, head=["x"], backbone_rate=0.25, frozen_steps=2, momentum=0.5)
    config = first.get_config()
    assert FineTuningSGD.from_config(config).get_config() == config
    assert (config["head"], config["frozen_steps"], config["momentum"]) == (["x"], 2, 0.5)
    with pytest.raises(InputError, match=r"`backbone_rate` must be in \[0, 1\]"):
        FineTuningSGD(0.1, backbone_rate=2.0)


def test_frozen_batch_norm_stays_as_it_is_in_training() -> None:
    model = network()
    assert freeze_batch_norm(model) == 1
    images = np.random.default_rng(0).normal(3.0, 2.0, (8, 4, 4, 2)).astype(np.float32)
    before = [np.asarray(value) for value in model.variables]
    np.testing.assert_allclose(
        model(images, training=True), model(images, training=False), rtol=1e-6
    )
    for value, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(value, old)


def with_norms() -> keras.Model:
    """A model with BatchNorm on maps and on rows, before and after weights, and within a model."""
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(3, 1), layers.BatchNormalization(scale=False)],
        name="inner",
    )
    images = keras.Input((4, 4, 2))
    maps = layers.BatchNormalization(epsilon=0.1)(images)
    maps = inner(layers.Conv2D(3, 1)(maps))
    rows = layers.BatchNormalization(center=False)(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(images, layers.Dense(2)(rows))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 2.0, weight.shape))
    return model


def test_converted_batch_norm_is_the_same_function_whatever_the_batch(tmp_path) -> None:
    model = with_norms()
    images = np.random.default_rng(0).normal(3.0, 2.0, (8, 4, 4, 2)).astype(np.float32)
    expected = model(images, training=False)
    found = convert_batch_norm(model)
    assert len(batch_norm_layers(model)) == 3
    assert batch_norm_layers(found) == []
    assert found.output_shape == model.output_shape
    np.testing.assert_allclose(found(images, training=False), expected, rtol=1e-5, atol=1e-5)
    # In training too, and for an image alone.
    np.testing.assert_allclose(found(images[:1], training=True), expected[:1], rtol=1e-5, atol=1e-5)
    # All learn, and the other layers are the model's own.
    assert found.count_params() == sum(int(np.prod(v.shape)) for v in found.trainable_variables)
    kernel = model.get_layer("inner").layers[0].kernel
    assert any(variable is kernel for variable in found.trainable_variables)
    found.save(tmp_path / "it.keras")
    again = keras.saving.load_model(tmp_path / "it.keras", custom_objects={})
    np.testing.assert_allclose(again(images), expected, rtol=1e-5, atol=1e-5)


def test_batch_norm_that_cannot_be_converted_is_named() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.norm = keras.layers.BatchNormalization(name="hidden")

        def call(self, images):
            return self.norm(images)

    model = Own()
    model(np.zeros((1, 4, 4, 2)))
    with pytest.raises(InputError, match=r"cannot be converted in hidden, .*--batch-norm frozen"):
        convert_batch_norm(model)
    images = keras.Input((4, 4, 2))
    other = keras.Model(images, keras.layers.BatchNormalization(axis=1, name="rows")(images))
    with pytest.raises(InputError, match=r"rows cannot be converted: .* axis 1, not on the last"):
        convert_batch_norm(other)
