"""NuAT: its images and one step of training against the formulas."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods import NuATTrainer
from lsp_keras.ops import random
from lsp_keras.ops.objectives import ascending_cross_entropy, cross_entropy

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]

SEED, EPSILON, BETA = 3, 0.1, 3.0


def build_trainer(build: Build, iteration: int = 0, **options: Any) -> NuATTrainer:
    trainer = NuATTrainer(build(), epsilon=EPSILON, beta=BETA, seed=SEED, **options)
    trainer.compile(keras.optimizers.SGD(0.5), metrics=["accuracy"])
    trainer.optimizer.iterations.assign(iteration)
    return trainer


def head(toy: Toy) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[:10]) for name, value in toy.items()}


def nuclear(matrix: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.linalg.svd(matrix, compute_uv=False))


def images_by_hand(classifier: keras.Model, toy: Toy, iteration: int) -> np.ndarray:
    batch = head(toy)
    draws = random.signs(SEED * 2**32 + iteration, batch["indices"], (8, 8, 3)).numpy()
    start = tf.constant(np.clip(batch["images"] + EPSILON / 2 * draws, 0, 1))
    clean = classifier(batch["images"], training=False)
    with tf.GradientTape() as tape:
        tape.watch(start)
        logits = classifier(start, training=False)
        fit = cross_entropy if iteration % 2 else ascending_cross_entropy
        loss = tf.reduce_sum(fit(batch["labels"], logits))
        loss += (iteration % 2) * BETA * nuclear(logits - clean)
    found = np.clip(start + EPSILON * np.sign(tape.gradient(loss, start)), 0, 1)
    images = toy["images"][:10]
    return np.clip(found, images - EPSILON, images + EPSILON)


@pytest.mark.parametrize("iteration", [4, 5])
def test_images_climb_the_nuclear_norm_in_every_second_step(
    iteration: int, build_classifier: Build, toy: Toy
) -> None:
    trainer = build_trainer(build_classifier, iteration)
    found = trainer.perturb(head(toy)).numpy()
    expected = images_by_hand(trainer.classifier, toy, iteration)
    other = images_by_hand(trainer.classifier, toy, iteration + 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - other).max() > EPSILON / 2
    assert np.abs(found - toy["images"][:10]).max() <= EPSILON + 1e-6


def test_step_descends_the_loss(build_classifier: Build, toy: Toy) -> None:
    trainer, expected = build_trainer(build_classifier), build_classifier()
    batch, images = head(toy), trainer.perturb(head(toy))
    with tf.GradientTape() as tape:
        clean = expected(batch["images"], training=True)
        moved = expected(images, training=True)
        loss = tf.reduce_mean(cross_entropy(batch["labels"], clean))
        loss += BETA * nuclear(moved - clean) / 10
    variables = expected.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.5 * gradient)

    logs = trainer.fit(tf.data.Dataset.from_tensors(batch), verbose=0, shuffle=False).history
    assert logs["loss"][0] == pytest.approx(float(loss), rel=1e-4)
    assert logs["loss"][0] == pytest.approx(
        logs["cross_entropy"][0] + BETA * logs["nuclear"][0], rel=1e-5
    )
    trained = zip(trainer.classifier.get_weights(), expected.get_weights(), strict=True)
    for one, other in trained:
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_beta_warms_up_and_the_attack_does_not(build_classifier: Build, toy: Toy) -> None:
    trainer = build_trainer(build_classifier, warmup_steps=8)
    weights = [float(trainer.term_weights(step)["nuclear"]) for step in (0, 2, 8, 20)]
    assert weights == pytest.approx([0.0, BETA / 4, BETA, BETA])
    np.testing.assert_array_equal(
        trainer.perturb(head(toy)), build_trainer(build_classifier).perturb(head(toy))
    )


def test_settings_are_kept(build_classifier: Build) -> None:
    trainer = build_trainer(build_classifier, noise=0.02, warmup_steps=3)
    copy = NuATTrainer.from_config(trainer.get_config())
    assert copy.get_config() == trainer.get_config()
    assert (copy.noise, copy.step_size, copy.beta) == (0.02, EPSILON, BETA)
