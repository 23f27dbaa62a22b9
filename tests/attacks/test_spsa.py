import numpy as np
import tensorflow as tf

from lsp_keras.attacks import Problem
from lsp_keras.attacks.spsa import SPSA


def test_the_estimate_points_along_the_gradient(linear) -> None:
    images, labels = linear.images_at(0.02, "linf")
    attack = SPSA(epsilon=0.05, num_samples=400)
    estimate = (
        attack._estimate(
            Problem(
                linear.logits_fn,
                tf.constant(images),
                tf.constant(labels),
                tf.constant(0, tf.int64),
                tf.range(8, dtype=tf.int64),
            ),
            tf.constant(images),
            tf.constant(0),
        )
        .numpy()
        .reshape(8, -1)
    )
    gradient = np.where(labels == 0, -2.0, 2.0)[:, None] * linear.weights
    cosines = np.sum(estimate * gradient, axis=1)
    cosines /= np.linalg.norm(estimate, axis=1) * np.linalg.norm(gradient, axis=1)
    assert cosines.min() > 0.8


def test_breaks_a_model_that_has_no_gradients(linear) -> None:
    images, labels = linear.images_at(0.03, "linf")
    stepped = lambda x: linear.logits_fn(tf.round(x * 200) / 200)  # noqa: E731
    attack = SPSA(epsilon=0.05, num_steps=20, num_samples=32)
    assert attack(stepped, images, labels, seed=0).success.all()


def test_with_samples_enough_it_crosses_a_plane_just_above_its_distance(linear) -> None:
    attack = SPSA(epsilon=0.05, num_samples=256)
    near = linear.images_at(0.05 / 1.02, "linf")
    far = linear.images_at(0.05 / 0.98, "linf")
    assert attack(linear.logits_fn, *near, seed=0).success.all()
    assert not attack(linear.logits_fn, *far, seed=0).success.any()
