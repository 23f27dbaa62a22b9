from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from lsp_keras.attacks import Problem
from lsp_keras.attacks._gradient import STARTS
from lsp_keras.attacks.bim import BIM
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.mim import MIM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.validation import InputError


@pytest.mark.parametrize(("norm", "order", "epsilon"), [("linf", np.inf, 0.05), ("l2", 2, 0.5)])
def test_equals_cleverhans_without_a_random_start(small_model, batch, norm, order, epsilon) -> None:
    images, labels = batch
    options = {"step_size": epsilon / 4, "num_steps": 7, "objective": "softmax_cross_entropy"}
    attack = PGD(epsilon=epsilon, norm=norm, random_start=False, **options)
    ours = attack.perturb(small_model, images, labels, seed=0)
    theirs = projected_gradient_descent(
        lambda pixels: small_model(pixels, training=False),
        tf.constant(images),
        epsilon,
        epsilon / 4,
        7,
        order,
        clip_min=0.0,
        clip_max=1.0,
        y=labels,
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.abs(theirs - images).max() > 0.01


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball(small_model, norm) -> None:
    images = np.full((400, 6, 6, 3), 0.5, np.float32)
    attack = PGD(epsilon=0.1, norm=norm, step_size=1e-9, num_steps=1)
    delta = attack.perturb(small_model, images, np.zeros(400, int), seed=0).numpy() - images
    if norm == "linf":
        # Uniform entries: mean 0, variance (2 epsilon)^2 / 12.
        assert abs(delta.mean()) < 1e-3
        np.testing.assert_allclose(delta.var(), 0.2**2 / 12, rtol=0.02)
    else:
        # Uniform in the ball: (length / epsilon)^dimension is uniform in [0, 1].
        lengths = np.linalg.norm(delta.reshape(400, -1), axis=1)
        shares = (lengths / 0.1) ** 108
        np.testing.assert_allclose([shares.mean(), shares.std()], [0.5, 12**-0.5], atol=0.05)


def test_restarts_keep_the_best_start_of_each_image() -> None:
    # A point at 0.5 on a slope that leads away from the only misclassified region.
    def logits_fn(images):
        pixel = images[:, 0, 0, 0]
        hole = tf.nn.relu(0.5 - tf.abs(pixel - 0.42) * 20.0)
        return tf.stack([tf.ones_like(pixel), 0.7 + pixel * 0.1 + hole], axis=1)

    images = np.full((64, 1, 1, 1), 0.5, np.float32)
    labels = np.zeros(64, int)
    shares = [
        PGD(epsilon=0.1, step_size=0.005, num_steps=20, num_restarts=count)(
            logits_fn, images, labels, seed=0
        ).success.mean()
        for count in (1, 16)
    ]
    assert 0.0 < shares[0] < 0.6
    assert shares[1] > 0.9


def test_more_restarts_never_lose_an_image(small_model, batch) -> None:
    found = [
        PGD(epsilon=0.01, num_restarts=count)(small_model, *batch, seed=0).success
        for count in (1, 4)
    ]
    assert (found[1] | ~found[0]).all()


def test_the_objective_can_be_chosen(linear) -> None:
    images, labels = linear.images_at(0.05, "linf")
    away = PGD(epsilon=0.1, objective=lambda labels, logits: -logits[:, 2] - logits[:, 3])
    assert not away(linear.logits_fn, images, labels, seed=0).success.any()
    assert PGD(epsilon=0.1, objective="margin")(
        linear.logits_fn, images, labels, seed=0
    ).success.all()


def test_gaussian_start_is_the_image_with_a_little_noise(small_model) -> None:
    images = np.full((400, 6, 6, 3), 0.5, np.float32)
    attack = PGD(epsilon=0.1, step_size=1e-9, num_steps=1, start="gaussian")
    delta = attack.perturb(small_model, images, np.zeros(400, int), seed=0).numpy() - images
    assert abs(delta.mean()) < 2e-5
    np.testing.assert_allclose(delta.std(), 0.001, rtol=0.02)
    assert 0.003 < np.abs(delta).max() < 0.006


@pytest.mark.parametrize("objective", ["softmax_kl", "kl"])
def test_kl_from_a_gaussian_start_is_the_attack_of_trades(objective) -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(12, 4))
    images = rng.uniform(0.0, 1.0, size=(5, 2, 2, 3)).astype(np.float32)
    images[0] = 0.0

    ranked = np.sort(images.reshape(5, 12) @ weights, axis=1)
    # Published is the divergence at the model's own scale; the default puts all at one.
    gap = ranked[:, -1:] - ranked[:, -3:-2]
    # The first image has equal logits, which have no scale.
    scale: Any = np.divide(12.0, gap, out=np.ones_like(gap), where=gap > 0.0)
    scale = 1.0 if objective == "softmax_kl" else scale

    def softmax(flat: np.ndarray) -> np.ndarray:
        exponentials = np.exp(scale * (flat @ weights))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    keys = tf.constant(9, tf.int64), tf.range(5, dtype=tf.int64)
    problem = Problem(lambda x: x, tf.constant(images), tf.zeros(5, tf.int64), *keys)
    flat = images.reshape(5, 12).astype(np.float64)
    found = STARTS["gaussian"](problem, 0.1, "linf", 0)
    found = found.numpy().reshape(5, 12).astype(np.float64)
    for _ in range(7):
        # The gradient of KL(p || q) by the logits is q - p.
        found = found + 0.03 * np.sign((softmax(found) - softmax(flat)) @ weights.T)
        found = np.clip(np.clip(found, flat - 0.1, flat + 0.1), 0.0, 1.0)

    attack = PGD(epsilon=0.1, step_size=0.03, num_steps=7, objective=objective, start="gaussian")
    ours = attack.perturb(
        lambda pixels: tf.reshape(pixels, [-1, 12]) @ tf.constant(weights, tf.float32),
        images,
        np.zeros(5, int),
        seed=9,
    )
    np.testing.assert_allclose(tf.reshape(ours, [5, 12]), found, atol=1e-6)


def test_kl_needs_no_labels(small_model, batch) -> None:
    images, labels = batch
    attack = PGD(epsilon=0.1, objective="kl", start="gaussian")
    found = [attack.perturb(small_model, images, labels + offset, seed=0) for offset in (0, 1)]
    np.testing.assert_array_equal(*found)


def test_default_step_crosses_the_ball_and_never_exceeds_it() -> None:
    assert PGD(epsilon=8 / 255, num_steps=10).step_size == pytest.approx(2 / 255)
    assert PGD(epsilon=8 / 255, num_steps=1).step_size == 8 / 255


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_size": 0.2}, "`step_size` must not exceed `epsilon`"),
        ({"step_size": 0.0}, "`step_size` must be greater than zero"),
        ({"num_steps": 0}, "`num_steps` must be an integer of at least 1"),
        ({"num_restarts": 2, "random_start": False}, "repeats the same run"),
        ({"objective": "cross-entropy"}, "Did you mean 'cross_entropy'"),
        ({"objective": "kl", "random_start": False}, "'kl' is flat at the clean image"),
        ({"start": "gauss"}, "Did you mean 'gaussian'"),
        ({"start": "gaussian", "random_start": False}, "'gaussian' is a random one"),
        ({"norm": "l1"}, "`norm` must be one of 'linf', 'l2'"),
    ],
)
def test_wrong_options_are_refused(options, message) -> None:
    with pytest.raises(InputError, match=message):
        PGD(epsilon=0.1, **options)


def test_attacks_from_the_clean_image_refuse_a_comparison_with_it() -> None:
    for kind in (BIM, FGSM, MIM):
        with pytest.raises(InputError, match=r"'kl' is a divergence .* which only PGD climbs"):
            kind(epsilon=0.1, objective="kl")  # type: ignore[arg-type]
