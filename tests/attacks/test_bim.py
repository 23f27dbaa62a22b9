from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from cleverhans.tf2.attacks.basic_iterative_method import basic_iterative_method

from lsp_keras.attacks.bim import BIM

# What CleverHans climbs by itself.
LOSS: Any = "softmax_cross_entropy"


@pytest.mark.parametrize(("norm", "order", "epsilon"), [("linf", np.inf, 0.05), ("l2", 2, 0.5)])
def test_equals_cleverhans(small_model, batch, norm, order, epsilon) -> None:
    images, labels = batch
    theirs = basic_iterative_method(
        lambda pixels: small_model(pixels, training=False),
        tf.constant(images),
        epsilon,
        epsilon / 5,
        6,
        order,
        clip_min=0.0,
        clip_max=1.0,
        y=labels,
        sanity_checks=False,
    )
    attack = BIM(epsilon=epsilon, norm=norm, step_size=epsilon / 5, num_steps=6, objective=LOSS)
    ours = attack.perturb(small_model, images, labels, seed=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_draws_nothing(small_model, batch) -> None:
    first, second = (BIM(epsilon=0.05)(small_model, *batch, seed=seed).images for seed in (0, 1))
    np.testing.assert_array_equal(first, second)
