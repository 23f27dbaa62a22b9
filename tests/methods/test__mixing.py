"""Mixup and CutMix: one step against the formula, and what regularizers and metrics see."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.augmentations._cutmix import apply_cutmix, draw_cutmix
from lsp_keras.augmentations._mixup import apply_mixup, draw_mixup
from lsp_keras.losses import lsp_loss
from lsp_keras.methods import RobustTrainer, StandardTrainer
from lsp_keras.methods.cutmix import CutMixTrainer
from lsp_keras.methods.mixup import MixupTrainer
from lsp_keras.regularizers import LSP
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]
SEED = 5


def mixup_draws(images: tf.Tensor, step: int) -> Any:
    return draw_mixup(seed=SEED * 2**32 + step, indices=tf.range(10), alpha=1.0)


def cutmix_draws(images: tf.Tensor, step: int) -> Any:
    return draw_cutmix(
        images, seed=SEED * 2**32 + step, indices=tf.range(10), alpha=1.0, probability=1.0
    )


CASES: dict[str, tuple[Any, dict[str, Any], Any, Any]] = {
    "mixup": (MixupTrainer, {}, mixup_draws, apply_mixup),
    "cutmix": (CutMixTrainer, {"probability": 1.0}, cutmix_draws, apply_cutmix),
}


def head(toy: Toy) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[:10]) for name, value in toy.items()}


def fit(trainer: RobustTrainer, toy: Toy) -> dict[str, float]:
    data = tf.data.Dataset.from_tensors(head(toy))
    return {k: v[0] for k, v in trainer.fit(data, verbose=0, shuffle=False).history.items()}


@pytest.mark.parametrize("name", CASES)
def test_loss_weights_both_labels_by_the_share_that_was_drawn(
    name: str, build_classifier: Build, toy: Toy
) -> None:
    kind, options, draw, mix = CASES[name]
    trainer = kind(build_classifier(), seed=SEED, **options)
    trainer.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"])
    batch = head(toy)
    coefficients = []
    for step in range(3):
        draws = draw(batch["images"], step)
        logits = build_classifier()(mix(batch["images"], draws), training=True)
        logarithms = tf.nn.log_softmax(logits).numpy()
        labels, places = toy["labels"][:10], np.arange(10)
        share = float(draws.coefficient)
        own = logarithms[places, labels]
        partners = logarithms[places, labels[draws.partners]]
        logs = fit(trainer, toy)
        expected = -np.mean(share * own + (1 - share) * partners)
        assert logs["loss"] == pytest.approx(expected, rel=1e-4)
        assert logs["accuracy"] == pytest.approx(np.mean(logarithms.argmax(axis=1) == labels))
        coefficients.append(share)
    assert len(set(coefficients)) == 3


@pytest.mark.parametrize("name", CASES)
def test_regularizers_start_from_clean_images_and_metrics_do_not(
    name: str, build_classifier: Build, toy: Toy
) -> None:
    kind, options, _, _ = CASES[name]
    plain = kind(build_classifier(), seed=SEED, **options)
    regularized = kind(build_classifier(), regularizers=[LSP()], seed=SEED, **options)
    batch = head(toy)
    copy = build_classifier()
    neighbors = tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3])
    expected = lsp_loss(
        batch["neighbor_distances"],
        copy(batch["images"], training=True),
        tf.reshape(copy(neighbors, training=True), [10, 3, 3]),
    )
    for trainer in (plain, regularized):
        trainer.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"])
    without, logs = fit(plain, toy), fit(regularized, toy)
    assert logs["lsp"] == pytest.approx(float(tf.reduce_mean(expected)), rel=1e-4)
    assert logs["cross_entropy"] == pytest.approx(without["cross_entropy"], rel=1e-5)
    assert logs["accuracy"] == without["accuracy"]
    # The clean pass left the moving averages alone.
    for one, other in zip(
        plain.classifier.non_trainable_weights,
        regularized.classifier.non_trainable_weights,
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_cutmix_that_never_mixes_is_standard_training(build_classifier: Build, toy: Toy) -> None:
    standard = StandardTrainer(build_classifier())
    never = CutMixTrainer(build_classifier(), probability=0.0)
    for trainer in (standard, never):
        trainer.compile(keras.optimizers.SGD(0.5))
    assert fit(never, toy)["loss"] == pytest.approx(fit(standard, toy)["loss"], rel=1e-6)
    for one, other in zip(
        never.classifier.get_weights(), standard.classifier.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_settings_survive_saving(build_classifier: Build) -> None:
    mixup = MixupTrainer(build_classifier(), alpha=0.2)
    assert MixupTrainer.from_config(mixup.get_config()).alpha == 0.2
    cutmix = CutMixTrainer(build_classifier(), alpha=0.3, probability=0.9)
    copy = CutMixTrainer.from_config(cutmix.get_config())
    assert (copy.alpha, copy.probability) == (0.3, 0.9)


def test_settings_out_of_range_are_refused(build_classifier: Build) -> None:
    classifier = build_classifier()
    with pytest.raises(InputError, match=r"`alpha` must be greater than zero\. .*alpha=0"):
        MixupTrainer(classifier, alpha=0.0)
    with pytest.raises(InputError, match="`alpha` must be greater than zero"):
        CutMixTrainer(classifier, alpha=-1.0)
    with pytest.raises(InputError, match=r"`probability` must be in \[0, 1\]. Received: .*=1.5"):
        CutMixTrainer(classifier, probability=1.5)
