"""The served probabilities are the model's own, whatever the model answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.classifiers import probe, read
from lsp_keras.export import export_model
from lsp_keras.export.verify import trial_images, verify
from lsp_keras.validation import InputError

layers = keras.layers
SHAPE = (12, 16, 3)
NAMES = ("cat", "dog", "ship")
PHOTOS = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)


def network(*first, units=3, activation=None, seed=1) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            *first,
            layers.Flatten(),
            layers.Dense(
                units,
                activation=activation,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=seed),
            ),
        ]
    )


class Own(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, images):
        return keras.ops.softmax(self.dense(keras.ops.reshape(images, (-1, 576))))


def served(folder, photos=PHOTOS):
    loaded = tf.saved_model.load(str(folder))
    outputs = loaded.signatures["serving_uint8"](images=tf.constant(photos))
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.mark.parametrize(
    ("activation", "bytes_"),
    [
        ("softmax", False),
        ("sigmoid", True),
        pytest.param("softmax", True, marks=pytest.mark.slow),
        pytest.param("sigmoid", False, marks=pytest.mark.slow),
    ],
)
def test_served_probabilities_are_those_of_the_model(activation, bytes_, tmp_path) -> None:
    first = [layers.Rescaling(1 / 255)] if bytes_ else []
    model = network(*first, activation=activation)
    outputs = served(export_model(model, tmp_path / "it", class_names=NAMES))
    own = model.predict(PHOTOS if bytes_ else PHOTOS / 255, verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], own, atol=1e-5)
    link = tf.nn.softmax if activation == "softmax" else tf.sigmoid
    np.testing.assert_allclose(link(outputs["logits"]), own, atol=1e-5)
    np.testing.assert_array_equal(outputs["classes"], own.argmax(axis=1))


def test_one_unit_answers_two_classes(tmp_path) -> None:
    model = network(units=1, activation="sigmoid")
    outputs = served(export_model(model, tmp_path / "it", class_names=("no", "yes")))
    second = model.predict(PHOTOS / 255, verbose=0)[:, 0]
    np.testing.assert_allclose(outputs["probabilities"][:, 1], second, atol=1e-5)
    assert second.std() > 0.1
    expected = np.where(second > 0.5, b"yes", b"no").tolist()
    assert outputs["class_names"].tolist() == expected


def test_a_model_of_own_code_is_exported(tmp_path) -> None:
    model = Own()
    own = np.asarray(model(PHOTOS / np.float32(255)))
    outputs = served(export_model(model, tmp_path / "it", class_names=NAMES))
    np.testing.assert_allclose(outputs["probabilities"], own, atol=1e-5)


def test_a_gray_model_of_logits_in_half_precision_agrees_with_itself(tmp_path) -> None:
    images = keras.Input((9, 7, 1))
    values = layers.Dense(3, dtype="mixed_bfloat16")(layers.Flatten()(images))
    export_model(keras.Model(images, values), tmp_path / "it", class_names=NAMES)
    assert (tmp_path / "it/1/saved_model.pb").is_file()


def test_another_model_s_answers_are_found(tmp_path) -> None:
    folder = export_model(network(seed=1), tmp_path / "it", class_names=NAMES)
    photos = trial_images(SHAPE, None, PHOTOS)
    other = probe(read(network(seed=2)), (photos / 255).astype(np.float32))
    with pytest.raises(InputError, match=r"signature serving_default differ by up to 0\.\d+ on 4"):
        verify(folder, other, photos)


def test_a_saved_model_is_not_exported_again(tmp_path) -> None:
    with pytest.raises(InputError, match="Only Keras models are exported"):
        export_model(lambda images: images, tmp_path, class_names=NAMES, images=PHOTOS)
