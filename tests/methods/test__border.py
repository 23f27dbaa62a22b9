"""Any classifier in a trainer, and what its first batch is refused for."""

import keras
import numpy as np
import pytest

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods.at import ATTrainer
from lsp_keras.methods.standard import StandardTrainer
from lsp_keras.validation import InputError

layers = keras.layers
IMAGES = np.random.default_rng(0).random((12, 8, 8, 3), dtype=np.float32)
LABELS = np.arange(12) % 3


def classifier(*first, activation=None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *first,
            layers.Flatten(),
            layers.Dense(
                3, activation=activation, kernel_initializer=keras.initializers.HeNormal(seed=1)
            ),
        ]
    )


def trainer_of(model, kind=StandardTrainer, **options):
    trainer = kind(model, **options)
    trainer.compile(keras.optimizers.SGD(0.1))
    return trainer


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_closing_softmax_is_taken_off_and_its_layers_are_trained(activation) -> None:
    model, plain = classifier(activation=activation), classifier()
    losses = [
        trainer_of(item).fit(IMAGES, LABELS, epochs=5, batch_size=12, verbose=0).history["loss"]
        for item in (model, plain)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], plain.get_weights()[0], rtol=1e-4, atol=1e-6)


def test_a_model_of_bytes_sees_bytes() -> None:
    model, plain = classifier(layers.Rescaling(1 / 255)), classifier()
    trainer = trainer_of(model)
    np.testing.assert_allclose(trainer.predict(IMAGES, verbose=0), plain(IMAGES), atol=1e-5)


def test_an_adapted_trainer_is_saved_and_loaded(tmp_path) -> None:
    trainer = trainer_of(classifier(layers.Rescaling(1 / 255), activation="softmax"))
    trainer.fit(IMAGES, LABELS, batch_size=12, verbose=0)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0), trainer.predict(IMAGES, verbose=0), atol=1e-6
    )


class Opaque(keras.Model):
    """Ends in a softmax that no layer shows."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = layers.Flatten()
        self.dense = layers.Dense(3)

    def call(self, images):
        return keras.ops.softmax(self.dense(self.flatten(images)))


def test_probabilities_without_a_layer_are_refused_before_an_update() -> None:
    model = Opaque()
    model(IMAGES)
    before = model.get_weights()[0]
    with pytest.raises(InputError, match="answers probabilities, and the loss needs logits"):
        trainer_of(model).fit(IMAGES, LABELS, batch_size=12, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(
    ("images", "received"),
    [(IMAGES * 255, r"0\.\S+ 25\d\.\d+"), (IMAGES * 2 - 1, r"-0\.\d+ 0\.\d+")],
)
def test_pixels_on_another_scale_are_refused_before_an_update(images, received, eagerly) -> None:
    model = classifier()
    before = model.get_weights()[0]
    trainer = ATTrainer(model, attack=PGD(epsilon="8/255", num_steps=1))
    trainer.compile(keras.optimizers.SGD(0.1), run_eagerly=eagerly)
    with pytest.raises(InputError, match=f"^Images must be floats from 0 to 1.*: {received}"):
        trainer.fit(images, LABELS, batch_size=12, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_labels_beyond_the_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Labels must be from 0 to 2 .* received: 0 3\."):
        trainer_of(classifier()).fit(IMAGES, np.arange(12) % 4, batch_size=12, verbose=0)


@pytest.mark.parametrize("shape", [(12,), (12, 1)])
def test_weights_of_images_mean_what_they_mean_in_keras(shape) -> None:
    weights = (np.arange(12) % 2).astype(np.float32)
    plain = classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.SGD(0.1), loss)
    plain.fit(IMAGES, LABELS, sample_weight=weights, batch_size=12, verbose=0)
    ours = classifier()
    data = {"batch_size": 12, "verbose": 0, "sample_weight": weights.reshape(shape)}
    trainer_of(ours).fit(IMAGES, LABELS, **data)
    np.testing.assert_allclose(ours.get_weights()[0], plain.get_weights()[0], atol=1e-6)


def test_a_function_cannot_be_trained() -> None:
    with pytest.raises(InputError, match=r"A trainer needs a Keras model\. Received: function"):
        StandardTrainer(lambda images: images)
