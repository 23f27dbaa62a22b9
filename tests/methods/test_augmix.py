"""AugMix: one step against the formula, and what regularizers and BatchNorm see."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.losses import lsp_loss
from lsp_keras.losses.jensen_shannon import jensen_shannon
from lsp_keras.methods import RobustTrainer
from lsp_keras.methods.augmix import AugMixTrainer
from lsp_keras.regularizers import LSP
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]


def head(toy: Toy) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[:10]) for name, value in toy.items()}


def compiled(trainer: AugMixTrainer, learning_rate: float = 0.0) -> AugMixTrainer:
    trainer.compile(keras.optimizers.SGD(learning_rate), metrics=["accuracy"])
    return trainer


def fit(trainer: RobustTrainer, toy: Toy) -> dict[str, float]:
    data = tf.data.Dataset.from_tensors(head(toy))
    return {k: v[0] for k, v in trainer.fit(data, verbose=0, shuffle=False).history.items()}


def test_loss_is_that_of_the_clean_view_and_twelve_times_the_divergence(
    build_classifier: Build, toy: Toy
) -> None:
    trainer = compiled(AugMixTrainer(build_classifier(), regularizers=[LSP()], seed=5))
    batch, copy = head(toy), build_classifier()
    views = trainer.perturb(batch)
    # The three views share one batch, and with it BatchNorm's statistics.
    clean, first, second = tf.split(copy(views, training=True), 3)
    statistics = [tf.convert_to_tensor(item) for item in copy.non_trainable_variables]
    logs = fit(trainer, toy)

    logarithms = tf.nn.log_softmax(clean).numpy()[np.arange(10), toy["labels"][:10]]
    divergence = float(tf.reduce_mean(jensen_shannon(tf.stack([clean, first, second], axis=1))))
    neighbors = tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3])
    lsp = lsp_loss(
        batch["neighbor_distances"],
        clean,
        tf.reshape(build_classifier()(neighbors, training=True), [10, 3, 3]),
    )
    assert logs["cross_entropy"] == pytest.approx(-logarithms.mean(), rel=1e-4)
    assert logs["jensen_shannon"] == pytest.approx(divergence, rel=1e-3)
    assert logs["lsp"] == pytest.approx(float(tf.reduce_mean(lsp)), rel=1e-4)
    total = logs["cross_entropy"] + 12 * logs["jensen_shannon"] + logs["lsp"]
    assert logs["loss"] == pytest.approx(total, rel=1e-4)
    predictions = clean.numpy().argmax(axis=1)
    assert logs["accuracy"] == pytest.approx(np.mean(predictions == toy["labels"][:10]))
    found = trainer.classifier.non_trainable_variables
    for one, other in zip(found, statistics, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_views_are_the_image_and_two_different_mixtures_of_it(
    build_classifier: Build, toy: Toy
) -> None:
    trainer = compiled(AugMixTrainer(build_classifier(), seed=5))
    batch = head(toy)
    clean, first, second = tf.split(trainer.perturb(batch), 3)
    np.testing.assert_array_equal(clean, batch["images"])
    for one, other in ((clean, first), (clean, second), (first, second)):
        assert np.abs(one - other).mean() > 0.01
    # What an image becomes belongs to the image, and changes with the step.
    backward = {name: value[::-1] for name, value in batch.items()}
    turned = tf.split(trainer.perturb(backward), 3)[1][::-1]
    np.testing.assert_allclose(turned, first, atol=1e-6)
    fit(trainer, toy)
    later = tf.split(trainer.perturb(batch), 3)[1]
    assert np.abs(later - first).mean() > 0.01


def test_weight_of_zero_only_measures_the_divergence(build_classifier: Build, toy: Toy) -> None:
    logs = fit(compiled(AugMixTrainer(build_classifier(), consistency_weight=0.0)), toy)
    assert logs["jensen_shannon"] > 0
    assert logs["loss"] == pytest.approx(logs["cross_entropy"], rel=1e-6)


def test_settings_survive_saving(build_classifier: Build) -> None:
    settings: dict[str, Any] = {
        "consistency_weight": 3.0,
        "severity": 2.0,
        "num_chains": 2,
        "max_depth": 1,
    }
    trainer = AugMixTrainer(build_classifier(), **settings)
    config = AugMixTrainer.from_config(trainer.get_config()).get_config()
    assert {name: config[name] for name in settings} == settings


def test_settings_out_of_range_are_refused(build_classifier: Build) -> None:
    classifier = build_classifier()
    with pytest.raises(InputError, match="`consistency_weight` must be zero or more"):
        AugMixTrainer(classifier, consistency_weight=-1.0)
    with pytest.raises(InputError, match="`severity` must be in"):
        AugMixTrainer(classifier, severity=11)
