from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.errors import NonFiniteLossError
from lsp_keras.methods import ATTrainer, StandardTrainer
from lsp_keras.methods._awp import offsets
from lsp_keras.methods._options import StepOptions
from lsp_keras.regularizers import LSP, Regularizer, Step
from lsp_keras.training import CoupledSGD

Build = Callable[[], keras.Model]
Batches = Callable[[int], tf.data.Dataset]
Toy = dict[str, np.ndarray]

KERNEL = np.asarray([[0.6, -0.8]])
BIAS = np.asarray([0.1, -0.3])
PIXEL, LABEL, RATE, DECAY = 0.5, 1, 0.2, 0.01


def linear_trainer(gamma: float, weight_decay: float = 0.0) -> StandardTrainer:
    """Two classes from one pixel."""
    classifier = keras.Sequential(
        [keras.Input((1, 1, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    classifier.set_weights([KERNEL, BIAS])
    trainer = StandardTrainer(classifier)
    trainer.configure(StepOptions(awp_gamma=gamma))
    trainer.compile(CoupledSGD(RATE, momentum=0.0, weight_decay=weight_decay))
    return trainer


def errors(kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Gradient of the cross-entropy by the logits: the probabilities less the label."""
    odds = np.exp(PIXEL * kernel[0] + bias)
    return odds / odds.sum() - np.eye(2)[LABEL]


def fit(trainer: keras.Model, data: Any, **options: Any) -> dict[str, list[float]]:
    return trainer.fit(data, verbose=0, shuffle=False, **options).history


def pixel() -> tf.data.Dataset:
    images = np.full((1, 1, 1, 1), PIXEL, np.float32)
    return tf.data.Dataset.from_tensors((images, np.asarray([LABEL])))


def assert_same_weights(first: keras.Model, second: keras.Model) -> None:
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("gamma", [0.01, 0.5])
def test_step_takes_the_gradient_of_the_moved_kernel(gamma: float) -> None:
    trainer = linear_trainer(gamma, weight_decay=DECAY)
    logs = fit(trainer, pixel())

    uphill = PIXEL * errors(KERNEL, BIAS)[None]
    moved = KERNEL + gamma * np.linalg.norm(KERNEL) / np.linalg.norm(uphill) * uphill
    error = errors(moved, BIAS)
    # The decay is that of the kernel before the move.
    kernel = KERNEL - RATE * (PIXEL * error[None] + DECAY * KERNEL)
    bias = BIAS - RATE * (error + DECAY * BIAS)
    np.testing.assert_allclose(trainer.classifier.get_weights()[0], kernel, rtol=1e-5)
    np.testing.assert_allclose(trainer.classifier.get_weights()[1], bias, rtol=1e-5)
    logits = PIXEL * moved[0] + BIAS
    expected = np.log(np.exp(logits).sum()) - logits[LABEL]
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_move_is_as_long_as_asked_whatever_the_scale_of_the_gradient() -> None:
    kernels = [keras.Variable([[3.0, 0.0], [0.0, 4.0]]) for _ in range(5)]
    slope = np.asarray([[0.6, 0.0], [0.8, 0.0]], np.float32)
    gradients = [slope, 1e15 * slope, 0 * slope, np.inf * (slope + 1), np.nan * slope]
    moves = offsets(kernels, [tf.constant(item) for item in gradients], gamma=0.1)
    for move in moves[:2]:
        np.testing.assert_allclose(move, 0.5 * slope, rtol=1e-5)
    for move in moves[2:]:
        np.testing.assert_array_equal(move, np.zeros((2, 2)))


def test_weights_are_put_back_to_the_last_bit(build_classifier: Build, toy: Toy) -> None:
    trainer = StandardTrainer(build_classifier())
    trainer.configure(StepOptions(awp_gamma=0.3))
    trainer.compile(keras.optimizers.SGD(0.0))
    fit(trainer, (tf.data.Dataset.from_tensors(toy)), epochs=3)
    for one, other in zip(
        trainer.classifier.trainable_weights, build_classifier().trainable_weights, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_moving_averages_follow_the_moved_pass_once(build_classifier: Build, toy: Toy) -> None:
    """One convolution without bias: moved by gamma, its outputs have another mean."""
    trainer, moved = StandardTrainer(build_classifier()), build_classifier()
    trainer.configure(StepOptions(awp_gamma=0.5))
    trainer.compile(keras.optimizers.SGD(0.0))
    fit(trainer, tf.data.Dataset.from_tensors(toy))

    probe = build_classifier()
    with tf.GradientTape() as tape:
        logits = probe(toy["images"], training=True)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(toy["labels"], logits)
        loss = tf.reduce_mean(loss)
    kernels = [item for item in moved.trainable_variables if len(item.shape) > 1]
    twins = [item for item in probe.trainable_variables if len(item.shape) > 1]
    for kernel, gradient in zip(kernels, tape.gradient(loss, twins), strict=True):
        length = tf.norm(tf.convert_to_tensor(kernel)) / tf.norm(gradient)
        kernel.assign_add(0.5 * length * gradient)
    moved(toy["images"], training=True)
    for one, other in zip(
        trainer.classifier.non_trainable_weights, moved.non_trainable_weights, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_warm_up_is_the_plain_method(build_classifier: Build, make_batches: Batches) -> None:
    plain, warming = StandardTrainer(build_classifier()), StandardTrainer(build_classifier())
    warming.configure(StepOptions(awp_gamma=0.2, awp_warmup_steps=3))
    for trainer in (plain, warming):
        trainer.compile(CoupledSGD(0.1))
    assert fit(plain, make_batches(0)) == fit(warming, make_batches(0))
    assert_same_weights(plain.classifier, warming.classifier)
    assert fit(plain, make_batches(1))["loss"][0] < fit(warming, make_batches(1))["loss"][0]


class Explosive(Regularizer):
    """Infinite as soon as the classifier's first kernel is not the one it began with."""

    def __init__(self, *, kernel: Any = None, name: str = "explosive") -> None:
        super().__init__(name=name)
        self.kernel = kernel

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        return {self.name: 1.0}

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        kernel = tf.convert_to_tensor(step.classifier.trainable_variables[0])
        same = tf.reduce_all(kernel == self.kernel)
        return {self.name: tf.fill([40], tf.where(same, 1.0, np.inf))}


def test_loss_that_is_not_finite_at_the_moved_weights_leaves_them_alone(
    build_classifier: Build, toy: Toy
) -> None:
    classifier = build_classifier()
    trainer = StandardTrainer(
        classifier, regularizers=[Explosive(kernel=classifier.get_weights()[0])]
    )
    trainer.configure(StepOptions(awp_gamma=0.1))
    trainer.compile(CoupledSGD(0.1))
    with pytest.raises(NonFiniteLossError, match="its term `explosive`"):
        fit(trainer, tf.data.Dataset.from_tensors(toy))
    for one, other in zip(
        classifier.trainable_weights, build_classifier().trainable_weights, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_adversarial_training_learns_and_is_traced_once(
    policy: str, build_classifier: Build, make_batches: Batches
) -> None:
    """The first loss scale of float16 is too large: such a step moves and updates nothing."""
    passes = []

    class Counting(ATTrainer):
        def compute_terms(self, batch: Any, perturbed: Any) -> Any:
            passes.append(batch["images"].shape)
            return super().compute_terms(batch, perturbed)

    keras.config.set_dtype_policy(policy)
    try:
        classifier = build_classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    attack = PGD(epsilon=0.02, num_steps=1)
    trainer = Counting(classifier, attack=attack, regularizers=[LSP(weight=0.1)])
    trainer.configure(StepOptions(awp_gamma=0.01, awp_warmup_steps=4, ema_decay=0.9))
    optimizer: Any = CoupledSGD(0.1)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**24)
    trainer.compile(optimizer, metrics=["accuracy"])
    logs = fit(trainer, make_batches(0), epochs=15)
    assert logs["accuracy"][-1] > 0.9
    assert passes == [(None, 8, 8, 3)] * 2
    assert all(np.isfinite(weight).all() for weight in trainer.get_weights())
