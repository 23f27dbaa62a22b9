import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import datasets
from lsp_keras.classifiers import adapt
from lsp_keras.validation import InputError

layers = keras.layers


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", num_train=800)


@pytest.fixture(scope="module")
def sample(digits):
    return digits.test.images.astype(np.float32) / 255, digits.test.labels


@pytest.fixture(scope="module")
def trained(digits):
    """Trains a small network on digits as `change` makes of images in [0, 255]."""
    made = {}

    def train(name, change):
        if name not in made:
            keras.utils.set_random_seed(0)
            net = keras.Sequential(
                [
                    keras.Input(digits.info.image_shape),
                    layers.Conv2D(16, 3, 2, activation="relu"),
                    layers.Flatten(),
                    layers.Dense(10),
                ]
            )
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            net.compile(keras.optimizers.Adam(3e-3), loss)
            images = change(digits.train.images.astype(np.float32))
            net.fit(images, digits.train.labels, epochs=10, batch_size=64, verbose=0)
            made[name] = net
        return made[name]

    return train


CHANGES = {
    "bytes": lambda pixels: pixels,
    "symmetric": lambda pixels: pixels / 127.5 - 1,
    "standardized": lambda pixels: (pixels - 79.0) / 81.0,
}


@pytest.mark.parametrize(
    ("name", "option"),
    [("bytes", "0,255"), ("symmetric", "-1,1"), ("standardized", r"-0\.9\d*,2\.1\d*")],
)
def test_a_range_that_nothing_tells_of_is_an_error_that_names_it(
    trained, sample, name, option
) -> None:
    with pytest.raises(InputError, match=rf"Say what it takes: --pixel-range={option} \("):
        adapt(trained(name, CHANGES[name]), *sample)


@pytest.mark.parametrize(("name", "option"), [("bytes", "0,255"), ("symmetric", "-1,1")])
def test_the_range_that_is_given_gives_the_model_s_own_accuracy(
    trained, sample, name, option
) -> None:
    net = trained(name, CHANGES[name])
    images, labels = sample
    classifier = adapt(net, images, labels, pixel_range=option)
    own = np.argmax(net.predict(CHANGES[name](images * 255), verbose=0), axis=1)
    np.testing.assert_array_equal(np.argmax(classifier(tf.constant(images)), axis=1), own)
    assert np.mean(own == labels) > 0.9


def test_a_wrong_range_that_is_given_is_kept_and_said(trained, sample) -> None:
    classifier = adapt(trained("symmetric", CHANGES["symmetric"]), *sample, pixel_range="0,1")
    (finding,) = classifier.findings
    assert "with pixels in [0, 1] (given)" in finding
    assert "with pixels in [-1, 1]" in finding


def test_an_assumed_range_is_said(trained, sample) -> None:
    net = trained("unit", lambda pixels: pixels / 255)
    (finding,) = adapt(net, *sample).findings
    assert finding.startswith("Pixels in [0, 1] are assumed")


def test_one_class_for_everything_is_said(linear, images) -> None:
    model = linear()
    model.layers[-1].set_weights([np.zeros((16, 3)), np.array([0.0, 1.0, 0.0])])
    labels = np.arange(len(images)) % 3
    findings = " ".join(adapt(model, images, labels).findings)
    assert "It answers one class to all 40 probed images." in findings


def test_labels_beyond_the_classes_are_refused(linear, images) -> None:
    with pytest.raises(InputError, match=r"answers 3 classes, and the labels go up to 7\."):
        adapt(linear(), images, np.full(len(images), 7))


def test_other_sizes_are_refused(linear) -> None:
    with pytest.raises(InputError, match=r"takes images of shape \(4, 4, 1\)"):
        adapt(linear(), np.zeros((3, 5, 5, 1), np.float32))


def test_a_model_that_refuses_other_pixels_is_only_asked_for_its_own(linear, images) -> None:
    model = linear()

    def careful(pixels):
        if float(tf.reduce_max(pixels)) > 1.0 or float(tf.reduce_min(pixels)) < 0.0:
            raise RuntimeError("pixels must be in [0, 1]")
        return model(pixels)

    labels = (np.argmax(np.asarray(model(images)), axis=1) + 1) % 3
    classifier = adapt(careful, images, labels)
    np.testing.assert_array_equal(classifier(tf.constant(images)), model(images))
