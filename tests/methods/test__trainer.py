from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.errors import NonFiniteLossError
from lsp_keras.losses import lsp_loss
from lsp_keras.methods import ATTrainer, StandardTrainer
from lsp_keras.regularizers import LSP, Regularizer, Step
from lsp_keras.training import CoupledSGD
from lsp_keras.validation import InputError

Build = Callable[[], keras.Model]
Toy = dict[str, np.ndarray]


class Constant(Regularizer):
    """A term of the same value for every example."""

    def __init__(self, *, value: float = 1.0, weight: float = 1.0, name: str = "constant") -> None:
        super().__init__(name=name)
        self.value = value
        self.weight = weight

    def term_weights(self, iteration: int | tf.Tensor) -> Mapping[str, float]:
        return {self.name: self.weight}

    def terms(self, step: Step) -> Mapping[str, tf.Tensor]:
        return {self.name: self.value * tf.ones_like(step.anchor.logits[:, 0])}


def head(toy: Toy, count: int = 10) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value[:count]) for name, value in toy.items()}


def one_batch(toy: Toy, count: int = 10) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(head(toy, count))


def fit(trainer: keras.Model, data: Any, **options: Any) -> dict[str, list[float]]:
    return trainer.fit(data, verbose=0, shuffle=False, **options).history


def assert_equal_weights(first: keras.Model, second: keras.Model, **options: Any) -> None:
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, **options)


def test_step_descends_the_weighted_sum_of_the_terms(build_classifier: Build, toy: Toy) -> None:
    trainer = StandardTrainer(build_classifier(), regularizers=[LSP(weight=2.0)])
    trainer.compile(keras.optimizers.SGD(0.5))
    logs = fit(trainer, one_batch(toy))

    expected, other = build_classifier(), build_classifier()
    batch = head(toy)
    neighbors = tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3])
    with tf.GradientTape(persistent=True) as tape:
        logits = expected(batch["images"], training=True)
        neighbor_logits = tf.reshape(other(neighbors, training=True), [10, 3, 3])
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["labels"], logits)
        lsp = lsp_loss(batch["neighbor_distances"], logits, neighbor_logits)
        loss = tf.reduce_mean(cross_entropy) + 2.0 * tf.reduce_mean(lsp)
    # The two copies share their weights in the trainer, so their gradients add.
    pairs = zip(expected.trainable_variables, other.trainable_variables, strict=True)
    for variable, twin in pairs:
        variable.assign_sub(0.5 * (tape.gradient(loss, variable) + tape.gradient(loss, twin)))
    assert_equal_weights(trainer.classifier, expected, rtol=1e-4, atol=1e-6)
    assert logs["loss"][0] == pytest.approx(float(loss), rel=1e-5)
    assert logs["cross_entropy"][0] == pytest.approx(float(tf.reduce_mean(cross_entropy)), rel=1e-5)
    assert logs["lsp"][0] == pytest.approx(float(tf.reduce_mean(lsp)), rel=1e-4)


def test_terms_are_averaged_over_the_images_of_an_epoch(build_classifier: Build, toy: Toy) -> None:
    trainer = StandardTrainer(build_classifier())
    trainer.compile(keras.optimizers.SGD(0.0))
    data = tf.data.Dataset.from_tensor_slices({k: v[:12] for k, v in toy.items()}).batch(8)
    logs = fit(trainer, data)
    parts = [fit(trainer, batch)["loss"][0] for batch in (data.take(1), data.skip(1))]
    assert logs["loss"][0] == pytest.approx((8 * parts[0] + 4 * parts[1]) / 12, rel=1e-5)


def test_weight_zero_with_a_pass_of_its_own_changes_no_bit(
    build_classifier: Build, make_batches: Callable[[int], tf.data.Dataset]
) -> None:
    plain = StandardTrainer(build_classifier())
    measured = StandardTrainer(build_classifier(), regularizers=[LSP(weight=0.0)])
    for trainer in (plain, measured):
        trainer.compile(CoupledSGD(0.1, weight_decay=1e-3))
        logs = fit(trainer, make_batches(0), epochs=2)
    assert_equal_weights(plain.classifier, measured.classifier, rtol=0, atol=0)
    assert logs["lsp"][0] > 0


def test_term_of_weight_zero_may_be_nan(build_classifier: Build, toy: Toy) -> None:
    trainer = StandardTrainer(
        build_classifier(), regularizers=[Constant(value=float("nan"), weight=0.0)]
    )
    trainer.compile("sgd")
    logs = fit(trainer, one_batch(toy))
    assert np.isfinite(logs["loss"][0])
    assert np.isnan(logs["constant"][0])


def test_loss_that_is_not_finite_stops_before_the_update(build_classifier: Build, toy: Toy) -> None:
    trainer = StandardTrainer(
        build_classifier(), regularizers=[Constant(value=float("inf"), weight=1.0)]
    )
    trainer.compile("sgd")
    with pytest.raises(NonFiniteLossError, match=r"its term `constant` is NaN or infinite"):
        fit(trainer, one_batch(toy))
    trained, fresh = trainer.classifier.trainable_weights, build_classifier().trainable_weights
    for one, other in zip(trained, fresh, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sample_weight_scales_each_example(build_classifier: Build, toy: Toy) -> None:
    images, labels = toy["images"][:4], toy["labels"][:4]
    trainer = StandardTrainer(build_classifier())
    trainer.compile(keras.optimizers.SGD(0.0))
    logits = trainer.classifier(images, training=True)
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits).numpy()
    logs = fit(trainer, images, y=labels, sample_weight=np.asarray([2.0, 0.0, 0.0, 1.0]))
    assert logs["loss"][0] == pytest.approx((2 * values[0] + values[3]) / 4, rel=1e-5)


def test_penalties_of_the_classifier_count(toy: Toy) -> None:
    penalty = keras.regularizers.L2(0.1)
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_regularizer=penalty),
        ]
    )
    trainer = StandardTrainer(classifier)
    trainer.compile(keras.optimizers.SGD(0.0))
    logs = fit(trainer, one_batch(toy))
    expected = 0.1 * np.sum(np.square(classifier.get_weights()[0]))
    assert logs["loss"][0] - logs["cross_entropy"][0] == pytest.approx(expected, rel=1e-4)


def test_adversarial_images_are_those_of_the_seed_and_step(
    build_classifier: Build, toy: Toy
) -> None:
    attack = PGD(epsilon=0.1, num_steps=2)
    trainer = ATTrainer(build_classifier(), attack=attack, seed=5)
    trainer.compile(keras.optimizers.SGD(0.0))
    batch = head(toy)
    for step in (0, 1):
        seed = 5 * 2**32 + step
        adversarial = attack.perturb(
            trainer.classifier,
            batch["images"],
            batch["labels"],
            seed=seed,
            indices=batch["indices"],
        )
        logits = trainer.classifier(adversarial, training=False)
        logits_of_batch_statistics = build_like(trainer.classifier)(adversarial, training=True)
        expected = tf.nn.sparse_softmax_cross_entropy_with_logits(
            batch["labels"], logits_of_batch_statistics
        )
        logs = fit(trainer, one_batch(toy))
        assert logs["loss"][0] == pytest.approx(float(tf.reduce_mean(expected)), rel=1e-5)
        assert np.abs(logits - logits_of_batch_statistics).max() > 0.01


def build_like(classifier: keras.Model) -> keras.Model:
    """A copy, so that a pass in training mode leaves the original's moving averages alone."""
    copy = keras.models.clone_model(classifier)
    copy.set_weights(classifier.get_weights())
    return copy


def test_joint_neighbors_share_the_batch_statistics(build_classifier: Build, toy: Toy) -> None:
    trainer = StandardTrainer(
        build_classifier(), regularizers=[LSP(neighbor_batch_norm="joint", name="near")]
    )
    batch = head(toy)
    neighbors = tf.reshape(batch["neighbor_images"], [-1, 8, 8, 3])
    together = tf.concat([batch["images"], neighbors], axis=0)
    expected = build_like(trainer.classifier)(together, training=True)
    anchor = trainer.anchor_pass(batch["images"], batch)
    np.testing.assert_allclose(anchor.logits, expected[:10], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(anchor.riders["near"], expected[10:], rtol=1e-5, atol=1e-6)


def test_nothing_is_traced_again_after_the_first_step(
    build_classifier: Build, make_batches: Callable[[int], tf.data.Dataset]
) -> None:
    traces = []

    class Counting(StandardTrainer):
        def compute_terms(self, batch: Any, perturbed: Any) -> Any:
            traces.append(batch["images"].shape)
            return super().compute_terms(batch, perturbed)

    trainer = Counting(build_classifier(), regularizers=[LSP()])
    trainer.compile("sgd", metrics=["accuracy"])
    for epoch in range(3):
        fit(trainer, make_batches(epoch), validation_data=make_batches(0))
    assert traces == [(None, 8, 8, 3)]


def test_evaluate_and_predict_take_batches_and_arrays(
    build_classifier: Build, make_batches: Callable[[int], tf.data.Dataset], toy: Toy
) -> None:
    trainer = StandardTrainer(build_classifier(), regularizers=[LSP()])
    trainer.compile("sgd", metrics=["accuracy"])
    images, labels = toy["images"], toy["labels"]
    logits = trainer.classifier(images, training=False).numpy()
    expected = {
        "loss": np.mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)),
        "accuracy": np.mean(logits.argmax(axis=1) == labels),
    }
    for data in ({"x": make_batches(0)}, {"x": images, "y": labels}):
        result = trainer.evaluate(**data, verbose=0, return_dict=True)
        assert result == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(trainer.predict(images, verbose=0), logits, rtol=1e-5, atol=1e-6)
    batches = tf.data.Dataset.from_tensor_slices(toy).batch(16)
    np.testing.assert_allclose(trainer.predict(batches, verbose=0), logits, rtol=1e-5, atol=1e-6)


def test_images_keep_float32_up_to_a_mixed_precision_classifier(toy: Toy) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((8, 8, 3))
        outputs = keras.layers.GlobalAveragePooling2D(dtype="float32")(inputs)
        trainer = StandardTrainer(keras.Model(inputs, outputs))
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(
        trainer(toy["images"]), toy["images"].mean(axis=(1, 2)), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_learns_with_scaled_loss_where_needed(
    policy: str, build_classifier: Build, make_batches: Callable[[int], tf.data.Dataset]
) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        classifier = build_classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    trainer = ATTrainer(classifier, attack=PGD(epsilon=0.02, num_steps=1), regularizers=[LSP()])
    trainer.compile(CoupledSGD(0.1), metrics=["accuracy"])
    scaled = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    logs = fit(trainer, make_batches(0), epochs=12)
    assert logs["accuracy"][-1] > 0.9
    assert {variable.dtype for variable in classifier.trainable_variables} == {"float32"}


def test_terms_need_names_of_their_own(build_classifier: Build) -> None:
    with pytest.raises(InputError, match=r"Received twice: lsp\. Pass `name=`"):
        StandardTrainer(build_classifier(), regularizers=[LSP(), LSP(weight=0.0)])
    StandardTrainer(build_classifier(), regularizers=[LSP(), LSP(weight=0.0, name="global")])


def test_seed_and_loss_are_checked(build_classifier: Build, toy: Toy) -> None:
    with pytest.raises(InputError, match=r"`seed` must be in \[0, 2\*\*31\). Received: seed=-1"):
        StandardTrainer(build_classifier(), seed=-1)
    trainer = StandardTrainer(build_classifier(), seed=2**31 - 1)
    trainer.compile("sgd", loss="mse")
    with pytest.raises(InputError, match=r"`compile` takes no loss.*Received: loss='mse'"):
        fit(trainer, one_batch(toy))


def test_regularizer_of_ones_own_cannot_be_saved(build_classifier: Build) -> None:
    trainer = StandardTrainer(build_classifier(), regularizers=[Constant()])
    with pytest.raises(InputError, match=r"own regularizer \(Constant\).*`trainer.classifier`"):
        trainer.get_config()
