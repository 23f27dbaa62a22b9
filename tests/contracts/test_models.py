"""Every registered model: parameters, range, type, memory and reload."""

from pathlib import Path

import keras
import numpy as np
import pytest

from lsp_keras import registry

IMAGENET = {"num_classes": 1000, "input_shape": (224, 224, 3)}
# torchvision, kuangliu/pytorch-cifar, hat, TRADES and DeiT.
# The family of He et al., Section 4.2, has 172,506 at 14 layers without convolutions for shortcuts.
SHORTCUTS = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
PUBLISHED_PARAMETERS = [
    ("resnet14", {"num_classes": 10, "width": 16}, 172_506 + SHORTCUTS),
    ("resnet18", {"num_classes": 10}, 11_173_962),
    ("resnet18", IMAGENET, 11_689_512),
    ("resnet34", {"num_classes": 10}, 21_282_122),
    ("resnet34", IMAGENET, 21_797_672),
    ("preact_resnet18", {"num_classes": 10}, 11_172_170),
    ("wide_resnet", {"num_classes": 10}, 36_479_194),
    ("wide_resnet", {"num_classes": 10, "depth": 34}, 46_160_474),
    ("vit", IMAGENET, 5_717_416),
    ("vit", {**IMAGENET, "width": 384}, 22_050_664),
]
# ResNet-34 has the parts of ResNet-18, and more of them.
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "resnet34" else [])
    for name in registry.names("model")
]
SHAPE = (16, 16, 3)


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> keras.Model:
    return registry.get("model", request.param)(7, input_shape=SHAPE, width=4, seed=3)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((5, *SHAPE), dtype=np.float32)


@pytest.mark.parametrize(("name", "arguments", "count"), PUBLISHED_PARAMETERS)
def test_parameters_are_the_published_ones(name: str, arguments: dict, count: int) -> None:
    weights = registry.get("model", name)(**arguments).trainable_weights
    assert sum(weight.value.shape.num_elements() for weight in weights) == count


@pytest.mark.parametrize("name", NAMES)
def test_images_may_be_gray_and_wider_than_high(name: str) -> None:
    model = registry.get("model", name)(3, input_shape=(16, 24, 1), width=4)
    photos = np.random.default_rng(0).random((2, 16, 24, 1), dtype=np.float32)
    assert np.ptp(np.asarray(model(photos)), axis=0).max() > 0


def test_logits_are_float32_and_one_per_class(model: keras.Model, images: np.ndarray) -> None:
    logits = model(images)
    assert logits.dtype == "float32"
    assert logits.shape == (5, 7)
    assert np.asarray(logits).std() > 0.01


def test_inference_treats_each_image_alone(model: keras.Model, images: np.ndarray) -> None:
    alone = np.concatenate([model(image[None], training=False) for image in images])
    np.testing.assert_allclose(alone, model(images, training=False), rtol=1e-4, atol=1e-5)


def test_logits_are_a_linear_map_of_the_features(model: keras.Model, images: np.ndarray) -> None:
    features = keras.Model(model.input, model.get_layer("features").output)(images)
    kernel, bias = (np.asarray(weight) for weight in model.get_layer("logits").weights)
    assert model.layers[-1].name == "logits"
    np.testing.assert_allclose(features @ kernel + bias, model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(16, 27, 1), (24, 16, 3)])
def test_images_may_be_oblong_and_gray(name: str, shape: tuple[int, int, int]) -> None:
    middle = [0.5] * shape[-1]
    model = registry.get("model", name)(
        3, input_shape=shape, width=2, mean=middle, std=middle, seed=1
    )
    images = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    logits = np.asarray(model(images, training=False))
    assert logits.shape == (2, 3)
    # Every pixel counts, those of the far corner too.
    images[:, -1, -1] += 1
    assert (np.asarray(model(images, training=False)) != logits).any(axis=1).all()


def test_seed_fixes_the_weights(model: keras.Model) -> None:
    build = registry.get("model", model.name)
    same, other = (build(7, input_shape=SHAPE, width=4, seed=seed) for seed in (3, 4))
    kernel = np.asarray(model.get_layer("stem_conv").kernel)
    np.testing.assert_array_equal(kernel, same.get_layer("stem_conv").kernel)
    assert np.abs(kernel - np.asarray(other.get_layer("stem_conv").kernel)).max() > 0.01


def test_saved_model_loads_in_safe_mode(
    model: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), model(images))


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_keeps_weights_and_logits_in_float32(name: str, images: np.ndarray) -> None:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = registry.get("model", name)(7, input_shape=SHAPE, width=4, seed=3)
    finally:
        keras.config.set_dtype_policy(previous)
    exact = registry.get("model", name)(7, input_shape=SHAPE, width=4, seed=3)
    assert mixed.get_layer("stem_conv").compute_dtype == "float16"
    assert {weight.dtype for weight in mixed.trainable_weights} == {"float32"}
    assert mixed(images).dtype == "float32"
    np.testing.assert_allclose(mixed(images), exact(images), atol=0.05)
