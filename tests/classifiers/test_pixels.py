import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers import parse_pixel_range, read
from lsp_keras.classifiers.pixels import standardized
from lsp_keras.validation import InputError

layers = keras.layers
COLOR = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)


def after(*first: keras.Layer, shape=(8, 8, 3)) -> keras.Model:
    return keras.Sequential(
        [keras.Input(shape), *first, layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
    )


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([layers.Rescaling(1 / 255)], "[0, 255]"),
        ([layers.Rescaling(1 / 127.5, -1)], "[0, 255]"),
        ([layers.Normalization(mean=[120.0] * 3, variance=[3600.0] * 3)], "[0, 255]"),
        ([layers.Normalization(mean=[0.5] * 3, variance=[0.06] * 3)], "[0, 1]"),
        ([layers.Normalization(mean=[0.1307] * 3, variance=[0.3081**2] * 3)], "[0, 1]"),
        ([layers.Rescaling(2.0, -1.0)], "[0, 1]"),
        ([layers.Rescaling(0.5, 0.5)], "[-1, 1]"),
        ([layers.RandomFlip(), layers.Rescaling(1 / 255), layers.RandomContrast(0.1)], "[0, 255]"),
        ([keras.Sequential([layers.Rescaling(1 / 255)])], "[0, 255]"),
    ],
)
def test_the_range_is_found_from_the_first_layers(first, expected) -> None:
    pixels = read(after(*first)).pixels
    assert str(pixels) == expected
    assert pixels.source is not None


def test_without_such_layers_nothing_is_claimed() -> None:
    assert read(after()).pixels.source is None
    assert read(after(layers.RandomFlip())).pixels.source is None


def test_the_layers_of_a_model_within_count() -> None:
    inner = after(layers.Rescaling(1 / 255))
    outer = keras.Sequential([keras.Input((8, 8, 3)), layers.GaussianNoise(0.1), inner])
    assert str(read(outer).pixels) == "[0, 255]"


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "densenet"])
def test_what_preprocess_input_does_is_done(name) -> None:
    preprocess = getattr(keras.applications, name).preprocess_input
    networks = {"mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50", "densenet": "DenseNet121"}
    build = getattr(keras.applications, networks[name])
    pixels = read(build(weights=None, classes=3, input_shape=(32, 32, 3))).pixels
    expected = preprocess(COLOR.copy() * 255.0)
    np.testing.assert_allclose(pixels.apply(tf.constant(COLOR)), expected, atol=1e-3)
    front = keras.Input((8, 8, 3))
    layered = keras.Model(front, pixels.front(front))
    np.testing.assert_allclose(layered(COLOR), expected, atol=1e-3)


def test_preprocess_input_inside_of_the_model_is_seen() -> None:
    inputs = keras.Input((8, 8, 3))
    values = keras.applications.mobilenet_v2.preprocess_input(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3)(values))))
    assert str(read(model).pixels) == "[0, 255]"


@pytest.mark.parametrize("text", ["0,255", "-1,1", "-2,2;-1,1;0,3", "torch", "caffe"])
def test_options_are_read_and_written(text) -> None:
    pixels = parse_pixel_range(text)
    again = parse_pixel_range(pixels.option)
    np.testing.assert_allclose(again.apply(COLOR), pixels.apply(COLOR), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("text", ["255", "1,0", "a,b", "0,1,2", ""])
def test_other_texts_are_refused(text) -> None:
    with pytest.raises(InputError, match="`pixel_range` must"):
        parse_pixel_range(text)


def test_standardized_images_have_mean_zero_and_deviation_one() -> None:
    found = np.asarray(standardized(COLOR).apply(tf.constant(COLOR)))
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1.0, atol=1e-4)
