"""Where a run's classifier comes from."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from lsp_keras import datasets
from lsp_keras.classifiers import sample_rows
from lsp_keras.runs import FitConfig, fit
from lsp_keras.runs.start import build_foreign, check_start, file_shape, take_weights
from lsp_keras.types import DatasetInfo
from lsp_keras.validation import InputError

layers = keras.layers
SHAPE = (16, 16, 3)


def info(num_classes: int = 4, shape: tuple[int, int, int] = SHAPE) -> DatasetInfo:
    names = tuple(map(str, range(num_classes)))
    return DatasetInfo("toy", names, shape, {}, (0.5,), (0.2,), None, "")


def own(classes: int = 4, *, activation: str | None = "softmax", shape=SHAPE) -> keras.Model:
    """A network of bytes that ends in a softmax."""
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(classes, activation=activation, name="answers"),
        ]
    )


@pytest.fixture
def photos() -> np.ndarray:
    return np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)


def build(name: str, about: DatasetInfo | None = None) -> keras.Model:
    return build_foreign(name, about or info(), seed=0, pixel_range=None)


def test_a_file_with_the_same_classes_keeps_its_answers(tmp_path: Path, photos) -> None:
    model = own()
    model.save(tmp_path / "own.keras")
    built = build(str(tmp_path / "own.keras"))
    expected = model.predict(photos * 255, verbose=0)
    np.testing.assert_allclose(keras.ops.softmax(built(photos)), expected, atol=1e-5)


def test_a_file_with_other_classes_gets_a_new_last_layer(tmp_path: Path, photos) -> None:
    model = own(classes=9)
    model.save(tmp_path / "own.keras")
    built = build(str(tmp_path / "own.keras"))
    assert built(photos).shape == (3, 4)
    (pixels,) = model.inputs
    features = keras.Model(pixels, model.get_layer("pool").output)(photos * 255)
    kernel, bias = built.get_layer("logits").get_weights()
    np.testing.assert_allclose(built(photos), np.asarray(features) @ kernel + bias, atol=1e-5)


def test_a_function_gets_the_arguments_that_it_names(tmp_path: Path, photos, monkeypatch) -> None:
    (tmp_path / "mynets.py").write_text(
        "import keras\n"
        "def small(num_classes, input_shape):\n"
        "    flat = keras.layers.Flatten()\n"
        "    end = keras.layers.Dense(num_classes)\n"
        "    return keras.Sequential([keras.Input(input_shape), flat, end])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert build("mynets:small")(photos).shape == (3, 4)
    with pytest.raises(InputError, match="no function 'large' in a module 'mynets'"):
        build("mynets:large")


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 32, 40), (1, 32, 32)])
def test_a_model_of_keras_applications_sees_what_its_convention_says(
    channels: int, height: int, width: int
) -> None:
    about = info(shape=(height, width, channels))
    built = build("applications:MobileNetV2", about)
    images = np.random.default_rng(0).random((2, *about.image_shape), dtype=np.float32)
    (base,) = (layer for layer in built.layers if isinstance(layer, keras.Model))
    colored = np.repeat(images, 3, axis=-1) if channels == 1 else images
    preprocess = keras.applications.mobilenet_v2.preprocess_input
    features = np.asarray(base(preprocess(colored * 255.0), training=False))
    kernel, bias = built.get_layer("logits").get_weights()
    found = built(images, training=False)
    np.testing.assert_allclose(found, features @ kernel + bias, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match=r"no model 'MobileNetV9'\. Did you mean 'MobileNet"):
        build("applications:MobileNetV9")


def test_weights_go_where_names_and_shapes_agree(tmp_path: Path) -> None:
    theirs, ours = own(classes=9), own(classes=4)
    theirs.save(tmp_path / "theirs.keras")
    said: list[str] = []
    take_weights(ours, tmp_path / "theirs.keras", said.append)
    for name in ("first", "norm"):
        for mine, other in zip(
            ours.get_layer(name).get_weights(), theirs.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, other)
    assert said[0].startswith("6 of 8 weights were taken from ")
    assert said[0].endswith("new are answers/kernel, answers/bias.")
    stranger = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2, name="z")])
    with pytest.raises(InputError, match=r"No weight of .* fits the model"):
        take_weights(stranger, tmp_path / "theirs.keras", said.append)


def test_a_file_of_weights_goes_to_the_model_within(tmp_path: Path) -> None:
    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"
    )
    base.save_weights(tmp_path / "base.weights.h5")
    built = build("applications:MobileNetV2", info(shape=(32, 32, 3)))
    take_weights(built, tmp_path / "base.weights.h5", lambda text: None)
    (inner,) = (layer for layer in built.layers if isinstance(layer, keras.Model))
    for mine, other in zip(inner.get_weights(), base.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_what_does_not_fit_is_said_in_one_sentence(tmp_path: Path) -> None:
    own(shape=(20, 24, 3)).save(tmp_path / "wide.keras")
    with pytest.raises(InputError, match="takes images of 20x24x3, and those of toy are 16x16x3"):
        build(str(tmp_path / "wide.keras"))
    with pytest.raises(InputError, match="is not there"):
        build(str(tmp_path / "absent.keras"))
    with pytest.raises(InputError, match="Unknown model: 'resnet19'"):
        FitConfig.of(model="resnet19")
    with pytest.raises(InputError, match=r"`width` is no setting of the model x\.keras"):
        FitConfig.of(model="x.keras", width=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A network trained on digits in bytes, ending in softmax."""
    digits = datasets.load("digits", num_train=800)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(digits.info.image_shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=False)
    images = digits.train.images.astype(np.float32)
    model.fit(images, digits.train.labels, epochs=8, batch_size=64, verbose=0)
    path = tmp_path_factory.mktemp("trained") / "bytes.keras"
    model.save(path)
    return path


def test_a_robust_start_from_a_network_of_bytes(trained: Path, tmp_path: Path) -> None:
    config = FitConfig.of(
        dataset="digits",
        num_train=400,
        validation_size=100,
        model=str(trained),
        method="at",
        lsp=False,
        attack_num_steps=2,
        warmup_epochs=1,
        freeze_backbone_epochs=1,
        backbone_rate=0.5,
        learning_rate=0.02,
        epochs=2,
        stop_at_collapse=False,
    )
    said: list[str] = []
    result = fit(config, runs_dir=tmp_path, announce=said.append)
    assert any("starts right on 9" in text for text in said)
    assert result.history[-1]["val_accuracy"] > 0.8
    first = keras.saving.load_model(trained).layers[1].get_weights()[0]
    model = keras.saving.load_model(result.path / "model.keras")
    (kernel,) = (value for value in model.get_weights() if value.shape == first.shape)
    assert np.abs(kernel - first).max() > 0


def test_a_bare_network_of_bytes_is_refused_with_the_range(tmp_path: Path, trained) -> None:
    model = keras.saving.load_model(trained)
    digits = datasets.load("digits", num_train=200)
    inputs = keras.Input(digits.info.image_shape)
    values = inputs
    # The weights of a network of images in [-1, 1]: shifted, the answers are the same.
    for layer in model.layers[1:]:
        values = layer(values)
    bare = keras.Model(inputs, values)
    kernel, bias = bare.layers[1].get_weights()
    bare.layers[1].set_weights([kernel / 2, bias + kernel.sum(axis=(0, 1, 2)) / 2])
    bare.save(tmp_path / "bare.keras")
    classifier = build(str(tmp_path / "bare.keras"), digits.info)
    with pytest.raises(InputError, match="--pixel-range=-1,1"):
        check_start(classifier, digits, lambda text: None)
    # A range that the user gives is not doubted, and how often it is right is said.
    said: list[str] = []
    check_start(classifier, digits, said.append, range_is_given=True)
    rows = sample_rows(len(digits.train))
    answers = bare.predict(digits.train.images[rows] / 255.0, verbose=0)
    right = np.mean(answers.argmax(axis=1) == digits.train.labels[rows])
    assert said == [f"The model starts right on {right:.1%} of {len(rows)} training images."]


def test_a_backbone_of_keras_hub_sees_what_its_preset_says(tmp_path: Path) -> None:
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 128],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    backbone.save_to_preset(tmp_path)
    scale, offset = [1 / 255 / 0.2] * 3, [-0.5 / 0.2] * 3
    converter = hub.layers.ResNetImageConverter(image_size=(32, 32), scale=scale, offset=offset)
    converter.save_to_preset(tmp_path)
    built = build(f"hub:{tmp_path}", info(shape=(32, 32, 3)))
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype=np.float32)
    features = np.asarray(backbone((images - 0.5) / 0.2, training=False)).mean(axis=(1, 2))
    kernel, bias = built.get_layer("logits").get_weights()
    np.testing.assert_allclose(built(images, training=False), features @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5", "a.keras"])
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(range(256)), b"noise"])
def test_damaged_files_of_weights_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        take_weights(own(), tmp_path / name, lambda text: None)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_was_never_built_states_no_shape(tmp_path: Path) -> None:
    path = tmp_path / "unbuilt.keras"
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([layers.Dense(3)]).save(path)
    assert file_shape(str(path)) == (None, None, None)
    with pytest.raises(InputError):
        build(str(path))
    with pytest.raises(InputError, match="No weight of"):
        take_weights(own(), path, lambda text: None)


def test_images_are_asked_for_in_the_size_of_a_classifier_of_the_zoo() -> None:
    assert file_shape("zoo:cifar10_robust") == (32, 32, 3)
    assert file_shape("applications:MobileNetV2") == (None, None, None)
