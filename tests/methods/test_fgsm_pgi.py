"""FGSM-PGI: its images, its memory, and one step of training against the formulas."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods import FGSMPGITrainer
from lsp_keras.ops import random
from lsp_keras.ops.objectives import ascending_cross_entropy, cross_entropy
from lsp_keras.training import run_training
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]
Batches = Callable[[int], tf.data.Dataset]

SEED, EPSILON, BETA = 3, 0.1, 5.0


def build_trainer(build: Build) -> FGSMPGITrainer:
    trainer = FGSMPGITrainer(build(), num_images=40, epsilon=EPSILON, beta=BETA, seed=SEED)
    trainer.compile(keras.optimizers.SGD(0.5), metrics=["accuracy"])
    return trainer


def some(toy: Toy, rows: list[int]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[rows]) for name, value in toy.items()}


def step_by_hand(
    classifier: keras.Model, batch: dict[str, tf.Tensor], prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Adversarial images and the start, from perturbations in lengths of epsilon."""
    images = batch["images"].numpy()
    start = tf.constant(np.clip(images + EPSILON * prior, 0, 1).astype(np.float32))
    # A copy: a pass in training mode moves the averages.
    copy = keras.models.clone_model(classifier)
    copy.set_weights(classifier.get_weights())
    with tf.GradientTape() as tape:
        tape.watch(start)
        loss = ascending_cross_entropy(batch["labels"], copy(start, training=True))
    found = np.clip(start + EPSILON * np.sign(tape.gradient(loss, start)), 0, 1)
    return np.clip(found, images - EPSILON, images + EPSILON), start.numpy()


def test_starts_from_signs_first_and_then_from_the_last_perturbation(
    build_classifier: Build, toy: Toy
) -> None:
    trainer = build_trainer(build_classifier)
    first = some(toy, [4, 0, 7])
    signs = random.signs(SEED * 2**32, first["indices"], (8, 8, 3)).numpy()
    expected, start = step_by_hand(trainer.classifier, first, signs)
    found, started = trainer.perturb(first)
    np.testing.assert_allclose(started, start, atol=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-6)

    # Image 0 comes again, beside one that is new.
    again = some(toy, [9, 0])
    prior = random.signs(SEED * 2**32, again["indices"], (8, 8, 3)).numpy()
    prior[1] = (found[1] - toy["images"][0]) / EPSILON
    assert np.abs(prior[1] - signs[1]).max() > 0.5
    expected, start = step_by_hand(trainer.classifier, again, prior)
    found, started = trainer.perturb(again)
    # Half precision has eleven bits.
    np.testing.assert_allclose(started, start, atol=1e-4)
    assert np.mean(np.abs(found - expected) < 1e-4) > 0.99


def test_unseen_images_leave_the_memory_alone(build_classifier: Build, toy: Toy) -> None:
    trainer = build_trainer(build_classifier)
    trainer.perturb(some(toy, [1, 2]))
    before = np.array(trainer.priors)
    batch = some(toy, [2, 3])
    signs = random.signs(SEED * 2**32, batch["indices"], (8, 8, 3)).numpy()
    expected, _ = step_by_hand(trainer.classifier, batch, signs)
    np.testing.assert_allclose(trainer.perturb_unseen(batch), expected, atol=1e-6)
    np.testing.assert_array_equal(trainer.priors, before)


def test_step_descends_the_loss(build_classifier: Build, toy: Toy) -> None:
    trainer, expected = build_trainer(build_classifier), build_classifier()
    batch = some(toy, list(range(10)))
    signs = random.signs(SEED * 2**32, batch["indices"], (8, 8, 3)).numpy()
    images, start = step_by_hand(expected, batch, signs)
    with tf.GradientTape() as tape:
        before = expected(start, training=True)
        after = expected(images, training=True)
        loss = tf.reduce_mean(cross_entropy(batch["labels"], after))
        loss += BETA * tf.reduce_mean(tf.square(after - before))
    variables = expected.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.5 * gradient)

    logs = trainer.fit(tf.data.Dataset.from_tensors(batch), verbose=0, shuffle=False).history
    assert logs["loss"][0] == pytest.approx(float(loss), rel=1e-4)
    trained = zip(trainer.classifier.get_weights(), expected.get_weights(), strict=True)
    for one, other in trained:
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_memory_is_part_of_the_run_state(
    build_classifier: Build, make_batches: Batches, tmp_path: Path
) -> None:
    def train(folder: str, epochs: int) -> FGSMPGITrainer:
        trainer = build_trainer(build_classifier)
        run_training(
            trainer,
            make_batches,
            epochs=epochs,
            state_dir=tmp_path / folder,
            resume=True,
            deterministic=False,
        )
        return trainer

    whole = train("whole", 3)
    train("cut", 1)
    cut = train("cut", 3)
    assert np.abs(np.array(whole.priors)).max() <= 1
    np.testing.assert_array_equal(cut.priors, whole.priors)
    for one, other in zip(cut.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_settings_are_kept(build_classifier: Build) -> None:
    trainer = build_trainer(build_classifier)
    copy = FGSMPGITrainer.from_config(trainer.get_config())
    assert copy.get_config() == trainer.get_config()
    assert (copy.noise, copy.step_size, copy.clip, copy.beta) == (EPSILON, EPSILON, True, BETA)


def test_a_memory_needs_a_fixed_shape() -> None:
    classifier = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(InputError, match="input shape must be fixed"):
        FGSMPGITrainer(classifier, num_images=3)
