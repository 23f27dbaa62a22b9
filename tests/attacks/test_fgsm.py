from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

from lsp_keras.attacks.fgsm import FGSM

# What CleverHans climbs by itself.
LOSS: Any = "softmax_cross_entropy"


@pytest.mark.parametrize(("norm", "order", "epsilon"), [("linf", np.inf, 0.05), ("l2", 2, 0.5)])
def test_equals_cleverhans(small_model, batch, norm, order, epsilon) -> None:
    images, labels = batch
    theirs = fast_gradient_method(
        lambda pixels: small_model(pixels, training=False),
        tf.constant(images),
        epsilon,
        order,
        clip_min=0.0,
        clip_max=1.0,
        y=labels,
    )
    attack = FGSM(epsilon=epsilon, norm=norm, objective=LOSS)
    ours = attack.perturb(small_model, images, labels, seed=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_moves_every_pixel_against_the_weights_of_a_linear_model(linear) -> None:
    images, labels = linear.images_at(0.05, "linf")
    found = FGSM(epsilon=0.02).perturb(linear.logits_fn, images, labels, seed=0)
    toward_other = np.where(labels == 0, -1.0, 1.0)[:, None] * np.sign(linear.weights)
    np.testing.assert_allclose(
        (found - images).numpy().reshape(8, -1), 0.02 * toward_other, atol=1e-6
    )
