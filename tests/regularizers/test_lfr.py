"""Local flatness: closed forms, the limit of its two forms, and what it leaves alone."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.methods import StandardTrainer
from lsp_keras.ops.norms import linf_norm
from lsp_keras.regularizers import LFR, Batch, Step
from lsp_keras.validation import InputError

FORMS = ["finite_difference", "double_backprop"]
PreparedStep = Callable[..., Step]


def smooth_classifier(*middle: keras.layers.Layer) -> keras.Model:
    """Two smooth layers that are far from linear."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
            *middle,
            keras.layers.Activation("silu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=2)),
        ]
    )


def linear_classifier(kernel: np.ndarray) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(kernel.shape[1])]
    )
    model.layers[-1].kernel.assign(kernel)
    return model


def loss_and_gradients(
    unit: LFR, classifier: keras.Model, batch: Batch, points: tf.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Values `(batch,)` at given points, and the gradient of their mean by all weights."""
    with tf.GradientTape() as tape:
        zero = tf.constant(0, tf.int64)
        anchor: Any = None
        values = unit.terms(Step(classifier, batch, anchor, zero, zero, {"lfr": points}))["lfr"]
        loss = tf.reduce_mean(values)
    gradients = tape.gradient(loss, classifier.trainable_variables, unconnected_gradients="zero")
    return values.numpy(), np.concatenate([np.ravel(item) for item in gradients])


def test_differences_tend_to_double_backprop(labeled: Batch) -> None:
    """Both the values and the gradients, at second order: a half of the step, a quarter."""
    classifier = smooth_classifier()
    exact = loss_and_gradients(LFR(form="double_backprop"), classifier, labeled, labeled["images"])
    errors = []
    for difference_step in (0.08, 0.04, 0.02):
        near = loss_and_gradients(
            LFR(difference_step=difference_step), classifier, labeled, labeled["images"]
        )
        errors.append(
            [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(near, exact, strict=True)]
        )
    np.testing.assert_allclose(np.divide(errors[1:], errors[:-1]), 0.25, atol=0.06)
    assert np.max(errors[-1]) < 0.01


def test_differences_nearly_agree_through_batch_norm(labeled: Batch) -> None:
    """One image's own gradient alone: batch statistics that move with it are left out."""
    classifier = smooth_classifier(keras.layers.BatchNormalization())
    units = [LFR(difference_step=1e-3), LFR(form="double_backprop")]
    near, exact = [
        loss_and_gradients(unit, classifier, labeled, labeled["images"])[0] for unit in units
    ]
    np.testing.assert_allclose(near, exact, rtol=0.2)
    assert near.mean() == pytest.approx(exact.mean(), rel=0.04)


@pytest.mark.parametrize("form", FORMS)
def test_steepest_point_of_a_linear_model(
    form: Any, labeled: Batch, prepared_step: PreparedStep
) -> None:
    """Two classes: the norm of the gradient is (1 - p_y) |w|_1, largest where p_y is smallest."""
    difference = np.random.default_rng(3).choice([-0.1, 0.1], size=192)
    kernel = np.stack([np.zeros(192), difference], axis=1)
    batch = {**labeled, "labels": labeled["labels"] % 2}
    unit = LFR(form=form, difference_step=1e-3, epsilon=0.05, step_size=0.02, num_steps=6)
    step = prepared_step(unit, linear_classifier(kernel), batch)
    signs = np.where(batch["labels"].numpy() == 0, 1.0, -1.0)[:, None]
    images = batch["images"].numpy().reshape(6, -1)
    steepest = images + 0.05 * signs * np.sign(difference)
    np.testing.assert_allclose(step.prepared["lfr"].numpy().reshape(6, -1), steepest, atol=1e-6)
    margins = signs[:, 0] * (steepest @ difference)
    expected = 19.2 / (1 + np.exp(-margins))
    np.testing.assert_allclose(unit.terms(step)["lfr"], expected, rtol=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_attack_raises_the_term_within_its_budget(
    form: Any, labeled: Batch, prepared_step: PreparedStep
) -> None:
    classifier = smooth_classifier(keras.layers.BatchNormalization())
    unit = LFR(form=form, epsilon=0.05, num_steps=4)
    points = prepared_step(unit, classifier, labeled).prepared["lfr"]
    assert linf_norm(points - labeled["images"]).numpy().max() == pytest.approx(0.05, rel=1e-4)
    found = loss_and_gradients(unit, classifier, labeled, points)[0]
    start = loss_and_gradients(unit, classifier, labeled, labeled["images"])[0]
    assert found.mean() > 1.03 * start.mean()


def test_start_is_drawn_from_the_seed(labeled: Batch, prepared_step: PreparedStep) -> None:
    unit = LFR(num_steps=1, epsilon=0.05, step_size=1e-4)
    first, again, other = (
        prepared_step(unit, smooth_classifier(), labeled, seed=seed).prepared["lfr"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    noise = (other - labeled["images"]).numpy()
    assert np.abs(other - first).max() > 1e-3
    assert noise.std() == pytest.approx(1e-3, rel=0.1)


def test_moving_averages_follow_the_methods_images_alone(
    labeled: Batch, prepared_step: PreparedStep
) -> None:
    classifier = smooth_classifier(keras.layers.BatchNormalization(momentum=0.5))
    unit = LFR(num_steps=1)
    step = prepared_step(unit, classifier, labeled)
    before = classifier.get_weights()
    unit.terms(step)
    unit.prepare(classifier, labeled, adversarial=None, seed=step.seed)
    for one, other in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weight_warms_up_over_the_iterations() -> None:
    unit = LFR(weight=0.2, warmup_steps=4)
    weights = [float(unit.term_weights(tf.constant(step))["lfr"]) for step in (0, 1, 4, 9)]
    assert weights == pytest.approx([0.0, 0.05, 0.2, 0.2])
    # A Python zero keeps a term that is only measured out of the sum.
    assert LFR(weight=0.0, warmup_steps=4).term_weights(tf.constant(2)) == {"lfr": 0.0}


def test_training_flattens_the_loss(labeled: Batch) -> None:
    logs = {}
    for weight in (0.0, 0.3):
        unit = LFR(weight=weight, warmup_steps=3, num_steps=2)
        trainer = StandardTrainer(smooth_classifier(), regularizers=[unit])
        trainer.compile(keras.optimizers.SGD(0.02))
        data = tf.data.Dataset.from_tensors(labeled)
        logs[weight] = trainer.fit(data, epochs=12, verbose=0, shuffle=False).history
    assert logs[0.3]["lfr"][-1] < 0.5 * logs[0.0]["lfr"][-1]
    # The first weight is 0, the fourth the whole.
    for epoch, weight in ((0, 0.0), (3, 0.3)):
        expected = logs[0.3]["cross_entropy"][epoch] + weight * logs[0.3]["lfr"][epoch]
        assert logs[0.3]["loss"][epoch] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Activation("relu", name="bend"),
        keras.layers.LeakyReLU(name="bend"),
        keras.layers.Conv2D(2, 1, activation="relu6", name="bend"),
        keras.Sequential([keras.Input((6, 6, 4)), keras.layers.ReLU(name="bend")]),
    ],
    ids=["activation", "layer", "argument", "nested"],
)
def test_double_backprop_refuses_kinks(layer: keras.layers.Layer) -> None:
    classifier = smooth_classifier(layer)
    with pytest.raises(InputError, match=r"the layer 'bend' has one with kinks"):
        StandardTrainer(classifier, regularizers=[LFR(form="double_backprop")])
    StandardTrainer(classifier, regularizers=[LFR()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "`weight` must be zero or more"),
        ({"warmup_steps": -1}, "`warmup_steps` must be zero or more"),
        ({"form": "double"}, "`form` must be one of"),
        ({"difference_step": 0.0}, "`difference_step` must be greater than zero"),
        ({"epsilon": 8}, "did you mean 8/255"),
        ({"epsilon": 0.01, "step_size": 0.1}, "`step_size` must not exceed `epsilon`"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LFR(**options)  # type: ignore[arg-type]
