from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.inference.batches import compiled, perturb, predictor


def test_the_model_is_traced_once_for_any_number_of_images(contrast_model, contrast_examples):
    traced = []

    def logits_fn(images: tf.Tensor) -> tf.Tensor:
        traced.append(images.shape)
        return contrast_model(images)

    function = compiled(logits_fn, (4, 4, 1))
    images, _ = contrast_examples
    found = predictor(function, batch_size=4)(images)
    np.testing.assert_allclose(found, contrast_model(images), atol=1e-6)
    np.testing.assert_array_equal(predictor(function, batch_size=3)(images), found)
    assert len(traced) == 1


def test_images_that_are_misclassified_already_are_attacked_too(
    contrast_model, contrast_examples
) -> None:
    images, labels = contrast_examples
    attack = PGD(epsilon=0.02, num_steps=5)
    found = perturb(attack, contrast_model, images, labels, seed=0, batch_size=4)
    # The last label is wrong; a call of the attack leaves that image alone.
    called = attack(contrast_model, images, labels, seed=0).images
    np.testing.assert_array_equal(called[-1], images[-1])
    np.testing.assert_allclose(found[:-1], called[:-1], atol=1e-6)
    # It is pushed further to the wrong side: its contrast of 0.1 grows by 2 epsilon.
    contrast = found[-1, :2].mean() - found[-1, 2:].mean()
    np.testing.assert_allclose(contrast, 0.14, atol=1e-5)


def test_batches_change_nothing(contrast_model, contrast_examples) -> None:
    attack = PGD(epsilon=0.02, num_steps=3)
    options: dict[str, Any] = {"seed": 3}
    whole = perturb(attack, contrast_model, *contrast_examples, batch_size=10, **options)
    apart = perturb(attack, contrast_model, *contrast_examples, batch_size=3, **options)
    np.testing.assert_allclose(whole, apart, atol=1e-6)
