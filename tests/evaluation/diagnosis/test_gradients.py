from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.evaluation.diagnosis.gradients import (
    disagreement,
    instability,
    saturation,
    unfinished,
)
from lsp_keras.types import ThreatModel

SHAPE = (4, 4, 1)
RNG = np.random.default_rng(0)
DIRECTION = RNG.normal(size=16).astype(np.float32)
IMAGES = RNG.uniform(0.3, 0.7, (5, *SHAPE)).astype(np.float32)
LABELS = np.array([0, 1, 0, 1, 0])
LINF, L2 = ThreatModel.parse("0.1"), ThreatModel.parse("0.2", "l2")


def linear(images: tf.Tensor) -> tf.Tensor:
    """Two logits, the second one rising along DIRECTION."""
    score = tf.linalg.matvec(tf.reshape(images, [-1, 16]), DIRECTION)
    return tf.stack([tf.zeros_like(score), score], axis=1)


def gradient_signs(labels) -> np.ndarray:
    """Signs of the loss's gradient: away from the label's side."""
    towards = np.where(labels == 0, 1.0, -1.0)[:, None] * np.sign(DIRECTION)
    return towards.reshape(-1, *SHAPE).astype(np.float32)


def constant_loss(images: tf.Tensor) -> tf.Tensor:
    return tf.stack([0.0 * images[:, 0, 0, 0], 0.0 * images[:, 0, 0, 0]], axis=1)


def hash_like(images: tf.Tensor) -> tf.Tensor:
    """Logits that any step overturns."""
    flat = tf.reduce_sum(images, axis=[1, 2, 3])
    return 50.0 * tf.stack([tf.sin(1e5 * flat), tf.cos(1e5 * flat)], axis=1)


def test_a_flat_loss_is_stable_and_a_ragged_one_is_not() -> None:
    options: dict[str, Any] = {"radius": 0.01, "norm": "linf", "seed": 0}
    assert instability(constant_loss, IMAGES, LABELS, **options) == 0.0
    assert instability(linear, IMAGES, LABELS, **options) < 0.05
    assert instability(hash_like, IMAGES, LABELS, **options) > 0.6


def test_the_relative_change_by_hand() -> None:
    # A loss of log 2 at the images, and of 0 (in float32) anywhere else.
    def logits_fn(images: tf.Tensor) -> tf.Tensor:
        is_clean = tf.reduce_all(tf.abs(images - IMAGES) < 1e-9, axis=[1, 2, 3])
        return tf.where(is_clean[:, None], 0.0, 100.0 * tf.one_hot(LABELS, 2))

    found = instability(logits_fn, IMAGES, LABELS, radius=0.01, norm="l2", seed=0)
    assert found == pytest.approx(1.0)


def test_a_change_from_zero_loss_counts_as_one() -> None:
    def logits_fn(images: tf.Tensor) -> tf.Tensor:
        is_clean = tf.reduce_all(tf.abs(images - IMAGES) < 1e-9, axis=[1, 2, 3])
        return tf.where(is_clean[:, None], 200.0 * tf.one_hot(LABELS, 2), 0.0)

    assert instability(logits_fn, IMAGES, LABELS, radius=0.01, norm="linf", seed=0) == 1.0


@pytest.mark.parametrize(("share", "left"), [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (-1.0, 2.0)])
def test_what_is_left_of_a_linear_loss(share, left) -> None:
    steps = gradient_signs(LABELS)
    found = unfinished(linear, IMAGES, IMAGES + share * 0.1 * steps, LABELS, threat=LINF)
    np.testing.assert_allclose(found, left, atol=1e-4)
    unit = steps * np.abs(DIRECTION.reshape(SHAPE)) / np.linalg.norm(DIRECTION)
    found = unfinished(linear, IMAGES, IMAGES + share * 0.2 * unit, LABELS, threat=L2)
    np.testing.assert_allclose(found, left, atol=1e-4)


def test_entries_that_the_pixel_box_holds_back_do_not_count() -> None:
    steps = gradient_signs(LABELS)
    images = np.where(steps > 0, 0.99, 0.01).astype(np.float32)
    at_the_box = np.clip(images + 0.1 * steps, 0.0, 1.0).astype(np.float32)
    assert unfinished(linear, images, at_the_box, LABELS, threat=LINF).tolist() == [0.0] * 5


def test_without_a_gradient_nothing_is_left() -> None:
    found = unfinished(constant_loss, IMAGES, IMAGES, LABELS, threat=LINF)
    assert found.tolist() == [0.0] * 5


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_gradients_of_a_linear_model_agree_and_shattered_ones_do_not(scale) -> None:
    options: dict[str, Any] = {"radius": 0.01, "norm": "linf", "seed": 0}
    found = disagreement(lambda x: scale * linear(x), IMAGES, LABELS, **options)
    assert found == pytest.approx(0.0, abs=1e-5)
    # The slope of a sine of a huge argument has either sign: half of the cosines are -1.
    shattered = disagreement(lambda x: scale * hash_like(x), IMAGES, LABELS, **options)
    assert 0.2 < shattered < 0.8


def test_no_gradient_disagrees_with_none() -> None:
    options: dict[str, Any] = {"radius": 0.01, "norm": "l2", "seed": 0}
    assert disagreement(constant_loss, IMAGES, LABELS, **options) == 0.0


def test_saturation_counts_rightly_classified_images_whose_probability_is_one() -> None:
    gaps = np.array([50.0, 50.0, 3.0, -50.0, -3.0], np.float32)

    def logits_fn(images: tf.Tensor) -> tf.Tensor:
        return tf.stack([tf.constant(gaps), tf.zeros(5)], axis=1)

    # Of the three that are right as class 0, two have lost their slope.
    assert saturation(logits_fn, IMAGES, np.zeros(5, int)) == pytest.approx(2 / 3)
    assert saturation(logits_fn, IMAGES, np.array([1, 1, 1, 0, 0])) == 0.0
