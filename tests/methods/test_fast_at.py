"""Fast adversarial training: one step of training against its formula."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods import StepOptions
from lsp_keras.methods.fast_at import FastATTrainer
from lsp_keras.ops.objectives import cross_entropy


def test_step_descends_the_loss_of_its_images(
    build_classifier: Callable[[], keras.Model], toy: dict[str, np.ndarray]
) -> None:
    batch = {name: tf.constant(value[:10]) for name, value in toy.items()}
    trainer, expected = FastATTrainer(build_classifier(), epsilon=0.1), build_classifier()
    trainer.configure(StepOptions(label_smoothing=0.3))
    trainer.compile(keras.optimizers.SGD(0.5), metrics=["accuracy"])
    images = trainer.perturb(batch)
    with tf.GradientTape() as tape:
        log_probabilities = tf.nn.log_softmax(expected(images, training=True))
        right = -tf.gather(log_probabilities, batch["labels"], batch_dims=1)
        losses = 0.7 * right - 0.1 * tf.reduce_sum(log_probabilities, axis=1)
        loss = tf.reduce_mean(losses)
    variables = expected.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(0.5 * gradient)

    data = tf.data.Dataset.from_tensors(batch)
    logs = trainer.fit(data, verbose=0, shuffle=False).history
    assert logs["loss"][0] == pytest.approx(float(loss), rel=1e-4)
    trained = zip(trainer.classifier.get_weights(), expected.get_weights(), strict=True)
    for one, other in trained:
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_regularizers_start_from_its_images(
    build_classifier: Callable[[], keras.Model], toy: dict[str, np.ndarray]
) -> None:
    batch = {name: tf.constant(value[:10]) for name, value in toy.items()}
    trainer = FastATTrainer(build_classifier(), epsilon=0.1)
    trainer.compile("sgd")
    images = trainer.perturb(batch)
    terms, anchor = trainer.compute_terms(batch, images)
    assert anchor.images is images
    np.testing.assert_array_equal(
        terms["cross_entropy"], cross_entropy(batch["labels"], anchor.logits)
    )
    np.testing.assert_array_equal(trainer.adversarial_images(images), images)
