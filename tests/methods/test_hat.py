from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import HATTrainer
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]

ATTACK = PGD(epsilon=0.1, num_steps=1, **dict[str, Any](HATTrainer.attack_options))


@pytest.fixture
def helper(build_classifier: Build) -> keras.Model:
    """Gives every image the last class."""
    model = build_classifier()
    logits = model.get_layer("logits")
    logits.kernel.assign(tf.zeros_like(logits.kernel))
    logits.bias.assign([0.0, 0.0, 1.0])
    return model


def build_trainer(classifier: keras.Model, helper: keras.Model, **options: Any) -> HATTrainer:
    trainer = HATTrainer(classifier, attack=ATTACK, helper=helper, **options)
    trainer.compile(keras.optimizers.SGD(0.5))
    return trainer


def test_helper_is_frozen_and_no_variable_of_the_training(
    build_classifier: Build, helper: keras.Model, make_batches: Callable[[int], tf.data.Dataset]
) -> None:
    before = [np.copy(value) for value in helper.get_weights()]
    trainer = build_trainer(build_classifier(), helper)
    trainer.fit(make_batches(0), epochs=2, verbose=0, shuffle=False)
    for one, other in zip(helper.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    expected = [variable.path for variable in trainer.classifier.trainable_variables]
    assert [variable.path for variable in trainer.trainable_variables] == expected


def test_helper_is_saved_with_the_trainer(
    build_classifier: Build, helper: keras.Model, toy: Toy, tmp_path: Path
) -> None:
    trainer = build_trainer(build_classifier(), helper, gamma=0.25, stretch=3.0)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.helper(toy["images"]), helper(toy["images"]))
    assert (loaded.gamma, loaded.stretch) == (0.25, 3.0)
    assert not loaded.helper.trainable_variables


def test_stretched_image_is_not_clipped_and_has_the_label_of_the_helper(
    build_classifier: Build, helper: keras.Model
) -> None:
    trainer = build_trainer(build_classifier(), helper, stretch=4.0)
    twin = build_classifier()
    rng = np.random.default_rng(3)
    images = tf.constant(rng.uniform(0.8, 1.0, size=(6, 8, 8, 3)), tf.float32)
    batch = {"images": images, "labels": tf.zeros([6], tf.int64)}
    adversarial = tf.clip_by_value(images + 0.1, 0.0, 1.0)
    labels = tf.argmax(trainer.helper(adversarial, training=False), axis=1)
    np.testing.assert_array_equal(labels, np.full(6, 2))

    terms, _ = trainer.compute_terms(batch, (adversarial, labels))
    stretched = images + 4.0 * (adversarial - images)
    assert np.max(stretched) > 1.2
    log_probabilities = tf.nn.log_softmax(twin(stretched, training=True))
    np.testing.assert_allclose(terms["helper"], -log_probabilities[:, 2], rtol=1e-4)


def test_label_is_that_of_the_adversarial_image_in_inference_mode(
    build_classifier: Build, toy: Toy
) -> None:
    """A helper whose answer changes with the image, and with BatchNorm's mode."""
    helper = build_classifier()
    helper.get_layer("logits").kernel.assign(
        np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32) * 20
    )
    trainer = build_trainer(build_classifier(), helper)
    trainer.optimizer.build(trainer.trainable_variables)
    batch = {name: tf.constant(value) for name, value in toy.items()}
    adversarial, labels = trainer.perturb(batch)
    expected = helper(adversarial, training=False).numpy().argmax(axis=1)
    np.testing.assert_array_equal(labels, expected)
    assert len(set(expected)) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -0.5}, "`gamma` must be zero or more"),
        ({"stretch": 0.0}, "`stretch` must be greater than zero"),
    ],
)
def test_wrong_options_are_refused(
    build_classifier: Build, helper: keras.Model, options: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build_trainer(build_classifier(), helper, **options)


def test_helpers_that_do_not_suit_are_refused(build_classifier: Build) -> None:
    classifier = build_classifier()
    with pytest.raises(InputError, match="Received: the classifier itself"):
        build_trainer(classifier, classifier)
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(5)(keras.layers.Flatten()(inputs))
    with pytest.raises(InputError, match=r"the classifier's 3 classes. Received: a helper of 5"):
        build_trainer(classifier, keras.Model(inputs, outputs))
    assert classifier.trainable
