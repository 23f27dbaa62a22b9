"""The attack of one step: its images by hand, its mode, its warm-up and how it grows stronger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods.fast_at import FastATTrainer
from lsp_keras.ops import random
from lsp_keras.ops.objectives import ascending_cross_entropy
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]

SEED = 3
EPSILON = 0.1
KINDS: dict[str, dict[str, Any]] = {
    "N-FGSM": {},
    "FGSM-RS": {"noise": EPSILON, "step_size": 1.25 * EPSILON, "clip": True},
    "FGSM": {"noise": 0.0},
}


def build_trainer(build: Build, **options: Any) -> FastATTrainer:
    trainer = FastATTrainer(build(), **({"epsilon": EPSILON, "seed": SEED} | options))
    trainer.compile(keras.optimizers.SGD(0.5), metrics=["accuracy"])
    return trainer


def head(toy: Toy) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[:10]) for name, value in toy.items()}


def by_hand(
    trainer: FastATTrainer,
    toy: Toy,
    *,
    noise: float,
    length: float,
    steps: int,
    training: bool,
    iteration: int = 0,
) -> np.ndarray:
    """Images of a training step, without a limit on the perturbation."""
    batch, seed = head(toy), SEED * 2**32 + iteration
    draws = random.uniform(seed, batch["indices"], (8, 8, 3), low=-1.0, high=1.0)
    found = np.clip(batch["images"] + noise * draws.numpy(), 0, 1)
    # A copy: a pass in training mode moves the averages.
    classifier = keras.models.clone_model(trainer.classifier)
    for _ in range(steps):
        classifier.set_weights(trainer.classifier.get_weights())
        images = tf.constant(found)
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = classifier(images, training=training)
            loss = ascending_cross_entropy(batch["labels"], logits)
        found = np.clip(found + length * np.sign(tape.gradient(loss, images)), 0, 1)
    return found


@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("kind", KINDS)
def test_images_are_those_of_the_formula(
    kind: str, mode: str, build_classifier: Build, toy: Toy
) -> None:
    trainer = build_trainer(build_classifier, gradient_mode=mode, **KINDS[kind])
    before = trainer.classifier.get_weights()
    found = trainer.perturb(head(toy)).numpy()
    noise = {"N-FGSM": 2 * EPSILON, "FGSM-RS": EPSILON, "FGSM": 0.0}[kind]
    length = {"N-FGSM": EPSILON, "FGSM-RS": 1.25 * EPSILON, "FGSM": EPSILON}[kind]
    training = mode == "training"
    expected = by_hand(trainer, toy, noise=noise, length=length, steps=1, training=training)
    images = toy["images"][:10]
    if kind == "FGSM-RS":
        expected = np.clip(expected, images - EPSILON, images + EPSILON)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    farthest = np.abs(found - images).max()
    assert (farthest > 2.5 * EPSILON) == (kind == "N-FGSM")
    for one, other in zip(trainer.classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_modes_differ(build_classifier: Build, toy: Toy) -> None:
    trainers = [
        build_trainer(build_classifier, gradient_mode=mode) for mode in ("training", "inference")
    ]
    first, second = (trainer.perturb(head(toy)).numpy() for trainer in trainers)
    assert np.abs(first - second).max() > EPSILON


def test_attack_warms_up(build_classifier: Build, toy: Toy) -> None:
    trainer = build_trainer(build_classifier, warmup_steps=4)
    np.testing.assert_array_equal(trainer.perturb(head(toy)), toy["images"][:10])
    trainer.optimizer.iterations.assign(1)
    found = trainer.perturb(head(toy)).numpy()
    expected = by_hand(
        trainer, toy, noise=EPSILON / 2, length=EPSILON / 4, steps=1, training=True, iteration=1
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    trainer.optimizer.iterations.assign(7)
    warm = build_trainer(build_classifier)
    warm.optimizer.iterations.assign(7)
    np.testing.assert_array_equal(trainer.perturb(head(toy)), warm.perturb(head(toy)))


def test_stronger_attacks_make_the_step_in_parts(
    build_classifier: Build, toy: Toy, tmp_path: Path
) -> None:
    trainer = build_trainer(build_classifier)
    for parts, said in ((2, "2 steps of 12.8/255 each"), (3, "3 steps of 8.5/255 each")):
        assert trainer.strengthen_attack() == said
        expected = by_hand(
            trainer, toy, noise=2 * EPSILON, length=EPSILON / parts, steps=parts, training=True
        )
        np.testing.assert_allclose(trainer.perturb(head(toy)), expected, atol=1e-6)

    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras", safe_mode=True)
    assert int(loaded.strength) == 2


def test_a_compiled_step_follows_the_strength(build_classifier: Build, toy: Toy) -> None:
    """The step is traced once, before the attack grows."""
    logs = []
    for calls in (0, 1):
        trainer = build_trainer(build_classifier)
        data = tf.data.Dataset.from_tensors(head(toy))
        trainer.fit(data, verbose=0, shuffle=False)
        for _ in range(calls):
            trainer.strengthen_attack()
        logs.append(trainer.fit(data, verbose=0, shuffle=False).history["loss"][0])
    assert logs[1] != logs[0]


def test_settings_are_kept(build_classifier: Build) -> None:
    trainer = build_trainer(build_classifier, **KINDS["FGSM-RS"], gradient_mode="inference")
    copy = FastATTrainer.from_config(trainer.get_config())
    assert copy.get_config() == trainer.get_config()
    assert (copy.noise, copy.step_size, copy.clip) == (EPSILON, 1.25 * EPSILON, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 8}, "did you mean 8/255"),
        ({"noise": -0.1}, "`noise` must be zero or more"),
        ({"step_size": 0}, "`step_size` must be greater than zero"),
        ({"gradient_mode": "train"}, "Did you mean 'training'"),
        ({"warmup_steps": -1}, "`warmup_steps` must be zero or more"),
    ],
)
def test_wrong_settings_are_refused(
    options: dict[str, Any], message: str, build_classifier: Build
) -> None:
    with pytest.raises(InputError, match=message):
        build_trainer(build_classifier, **options)
