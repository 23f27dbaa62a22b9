"""AT, TRADES, MART and HAT: one step against their formulas on passes made by hand."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.losses import hat_loss, mart_loss, trades_loss
from lsp_keras.methods import ATTrainer, HATTrainer, MARTTrainer, TRADESTrainer
from lsp_keras.methods._adversarial import AdversarialTrainer
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.regularizers import LSP
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]

SEED = 5
LEARNING_RATE = 0.5
KINDS = [ATTrainer, TRADESTrainer, MARTTrainer, HATTrainer]
TERMS = {
    ATTrainer: {"cross_entropy"},
    TRADESTrainer: {"cross_entropy", "kl"},
    MARTTrainer: {"cross_entropy", "margin", "weighted_kl"},
    HATTrainer: {"cross_entropy", "kl", "helper"},
}


def build_trainer(kind: type[AdversarialTrainer], build: Build, **options: Any) -> Any:
    attack = PGD(epsilon=0.1, num_steps=2, **dict[str, Any](kind.attack_options))
    helper = {"helper": build()} if kind is HATTrainer else {}
    trainer = kind(build(), attack=attack, seed=SEED, **helper, **options)
    trainer.compile(keras.optimizers.SGD(LEARNING_RATE), metrics=["accuracy"])
    return trainer


def head(toy: Toy) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[:10]) for name, value in toy.items()}


def fit_one_step(trainer: keras.Model, toy: Toy) -> dict[str, float]:
    data = tf.data.Dataset.from_tensors(head(toy))
    history = trainer.fit(data, verbose=0, shuffle=False).history
    return {name: values[0] for name, values in history.items()}


def adversarial_by_hand(trainer: AdversarialTrainer, toy: Toy) -> tf.Tensor:
    """Images of the first step."""
    batch = head(toy)
    return trainer.attack.perturb(
        trainer.networks.attacked,
        batch["images"],
        batch["labels"],
        seed=SEED * 2**32,
        indices=batch["indices"],
    )


def losses_by_hand(
    kind: type[AdversarialTrainer],
    classifier: keras.Model,
    helper: keras.Model,
    adversarial: tf.Tensor,
    toy: Toy,
) -> tf.Tensor:
    """The method's published loss; passes are in training mode, in the documented order."""
    images, labels = head(toy)["images"], head(toy)["labels"]
    if kind is ATTrainer:
        return cross_entropy(labels, classifier(adversarial, training=True))
    clean_logits = classifier(images, training=True)
    adversarial_logits = classifier(adversarial, training=True)
    if kind is TRADESTrainer:
        return trades_loss(labels, clean_logits, adversarial_logits)
    if kind is MARTTrainer:
        return mart_loss(labels, clean_logits, adversarial_logits)
    stretched_logits = classifier(2.0 * adversarial - images, training=True)
    helper_labels = tf.argmax(helper(adversarial, training=False), axis=1)
    return hat_loss(labels, clean_logits, adversarial_logits, stretched_logits, helper_labels)


@pytest.mark.parametrize("kind", KINDS)
def test_step_descends_the_loss_and_moving_averages_follow_its_passes(
    kind: type[AdversarialTrainer], build_classifier: Build, toy: Toy
) -> None:
    trainer, expected, helper = build_trainer(kind, build_classifier), *two(build_classifier)
    adversarial = adversarial_by_hand(trainer, toy)
    assert np.abs(adversarial - toy["images"][:10]).max() > 1e-3
    with tf.GradientTape() as tape:
        losses = losses_by_hand(kind, expected, helper, adversarial, toy)
        loss = tf.reduce_mean(losses)
    variables = expected.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(LEARNING_RATE * gradient)

    logs = fit_one_step(trainer, toy)
    assert logs["loss"] == pytest.approx(float(loss), rel=1e-4)
    assert TERMS[kind] | {"loss", "accuracy"} == set(logs)
    trained = zip(trainer.classifier.get_weights(), expected.get_weights(), strict=True)
    for one, other in trained:
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def two(build: Build) -> tuple[keras.Model, keras.Model]:
    return build(), build()


@pytest.mark.parametrize("kind", KINDS)
def test_regularizers_get_the_adversarial_images(
    kind: type[AdversarialTrainer], build_classifier: Build, toy: Toy
) -> None:
    trainer = build_trainer(kind, build_classifier, regularizers=[LSP(weight=0.0)])
    trainer.optimizer.build(trainer.trainable_variables)
    expected = adversarial_by_hand(trainer, toy)
    perturbed = trainer.perturb(head(toy))
    np.testing.assert_array_equal(trainer.adversarial_images(perturbed), expected)
    _, anchor = trainer.compute_terms(head(toy), perturbed)
    np.testing.assert_array_equal(anchor.images, expected)


@pytest.mark.parametrize("kind", [TRADESTrainer, MARTTrainer, HATTrainer])
def test_weights_of_the_terms_are_kept(
    kind: type[AdversarialTrainer], build_classifier: Build, toy: Toy
) -> None:
    trainer = build_trainer(kind, build_classifier, beta=1.5)
    logs = fit_one_step(trainer, toy)
    weights = trainer.term_weights(0)
    assert 1.5 in weights.values()
    assert logs["loss"] == pytest.approx(sum(weights[name] * logs[name] for name in weights))
    copy = kind.from_config(trainer.get_config())
    assert copy.term_weights(0) == weights
    assert repr(copy.attack) == repr(trainer.attack)


@pytest.mark.parametrize("kind", [TRADESTrainer, MARTTrainer, HATTrainer])
def test_negative_weights_are_refused(
    kind: type[AdversarialTrainer], build_classifier: Build
) -> None:
    with pytest.raises(InputError, match=r"`beta` must be zero or more. Received: beta=-1.0"):
        build_trainer(kind, build_classifier, beta=-1.0)


@pytest.mark.parametrize("kind", [ATTrainer, HATTrainer])
def test_the_perturbation_grows_over_the_warm_up(
    kind: type[AdversarialTrainer], build_classifier: Build, toy: Toy
) -> None:
    plain, warm = (build_trainer(kind, build_classifier, warmup_steps=n) for n in (0, 4))
    batch = head(toy)
    images = batch["images"]
    for step in (0, 1, 4, 9):
        warm.optimizer.iterations.assign(step)
        plain.optimizer.iterations.assign(step)
        full, *_ = tf.nest.flatten(plain.perturb(batch))
        found, *_ = tf.nest.flatten(warm.perturb(batch))
        expected = images + min(step / 4, 1.0) * (full - images)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(full - images).max() > 0.05
    assert type(warm).from_config(warm.get_config()).warmup_steps == 4
