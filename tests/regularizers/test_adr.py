"""Compactness: the pair it compares, the terms of that pair, and the published sum."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.losses.confidence import confidence
from lsp_keras.losses.global_compactness import global_compactness
from lsp_keras.losses.local_compactness import local_compactness
from lsp_keras.losses.smoothness import smoothness
from lsp_keras.methods import ATTrainer, StandardTrainer
from lsp_keras.models import resnet18
from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.regularizers import ADR, Batch, Regularizer, Step
from lsp_keras.validation import InputError

TERMS = ["adr_local", "adr_global", "adr_smoothness", "adr_confidence"]
PreparedStep = Callable[..., Step]


def build_classifier(*last: keras.layers.Layer) -> keras.Model:
    convolution = keras.initializers.HeNormal(seed=1)
    dense = keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=2))
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, kernel_initializer=convolution),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Activation("relu"),
            keras.layers.GlobalAveragePooling2D(name="features"),
            *(last or [dense]),
        ]
    )


def copy_of(classifier: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(classifier)
    copy.set_weights(classifier.get_weights())
    return copy


def outputs_of(classifier: keras.Model, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Features and logits in training mode, layer by layer, from a copy of the classifier."""
    *body, last = copy_of(classifier).layers
    values = images
    for layer in body:
        values = (
            layer(values, training=True)
            if isinstance(layer, keras.layers.BatchNormalization)
            else layer(values)
        )
    return values, last(values)


@pytest.fixture
def adversarial(labeled: Batch) -> tf.Tensor:
    shift = np.random.default_rng(4).choice([-0.1, 0.1], size=labeled["images"].shape)
    return labeled["images"] + tf.constant(shift, tf.float32)


def test_terms_are_those_of_the_pair(
    labeled: Batch, adversarial: tf.Tensor, prepared_step: PreparedStep
) -> None:
    classifier, unit = build_classifier(), ADR()
    terms = unit.terms(prepared_step(unit, classifier, labeled, adversarial))
    features, logits = outputs_of(classifier, labeled["images"])
    moved_features, moved_logits = outputs_of(classifier, adversarial)
    labels = labeled["labels"]
    expected = {
        "adr_local": local_compactness(features, moved_features),
        "adr_global": global_compactness(labels, features, moved_features),
        "adr_smoothness": smoothness(logits, moved_logits),
        "adr_confidence": confidence(moved_logits),
        "adr_counterpart": cross_entropy(labels, logits) - cross_entropy(labels, moved_logits),
    }
    assert terms.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(terms[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    assert np.min(terms["adr_local"]) > 1e-3


def test_methods_without_an_attack_get_one(labeled: Batch, prepared_step: PreparedStep) -> None:
    classifier, unit = build_classifier(), ADR(epsilon="4/255", step_size="1/255", num_steps=3)
    before = copy_of(classifier)
    step = prepared_step(unit, classifier, labeled, seed=7)
    attack = PGD(epsilon=4 / 255, step_size=1 / 255, num_steps=3)
    expected = attack.perturb(
        before, labeled["images"], labeled["labels"], seed=7, indices=labeled["indices"]
    )
    np.testing.assert_array_equal(step.prepared["adr"].adversarial, expected)
    _, logits = outputs_of(classifier, labeled["images"])
    _, moved_logits = outputs_of(classifier, expected)
    gap = cross_entropy(labeled["labels"], moved_logits) - cross_entropy(labeled["labels"], logits)
    np.testing.assert_allclose(unit.terms(step)["adr_counterpart"], gap, rtol=1e-3, atol=1e-5)


def test_default_attack_is_the_published_one() -> None:
    unit = ADR()
    assert (unit.epsilon, unit.step_size, unit.num_steps) == pytest.approx((8 / 255, 2 / 255, 10))


@pytest.mark.parametrize("method", ["at", "standard"])
def test_half_of_the_counterpart_gives_the_published_sum(method: str, labeled: Batch) -> None:
    classifier, unit = build_classifier(), ADR(counterpart_share=0.5, num_steps=2)
    seen = []

    class Spy(Regularizer):
        """Keeps the pair of the step."""

        def term_weights(self, iteration: int | tf.Tensor) -> dict[str, float]:
            return {}

        def terms(self, step: Step) -> dict[str, tf.Tensor]:
            seen.append(step.prepared["adr"])
            return {}

    before = copy_of(classifier)
    regularizers = [unit, Spy(name="spy")]
    attack = PGD(epsilon=8 / 255, num_steps=2)
    trainer = (
        ATTrainer(classifier, attack=attack, regularizers=regularizers)
        if method == "at"
        else StandardTrainer(classifier, regularizers=regularizers)
    )
    trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    data = tf.data.Dataset.from_tensors(labeled)
    logs = trainer.fit(data, verbose=0, shuffle=False).history

    assert seen[0].from_method == (method == "at")
    labels = labeled["labels"]
    _, logits = outputs_of(before, labeled["images"])
    _, moved_logits = outputs_of(before, seen[0].adversarial)
    halves = [tf.reduce_mean(cross_entropy(labels, values)) for values in (logits, moved_logits)]
    expected = 0.5 * float(sum(halves)) + sum(logs[name][0] for name in TERMS)
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_weights_scale_the_terms_alone() -> None:
    unit = ADR(
        weight=2.0,
        local_weight=1.0,
        global_weight=0.5,
        smoothness_weight=0.0,
        confidence_weight=0.25,
        counterpart_share=0.5,
        name="pair",
    )
    assert unit.term_weights(0) == {
        "pair_local": 2.0,
        "pair_global": 1.0,
        "pair_smoothness": 0.0,
        "pair_confidence": 0.5,
        "pair_counterpart": 0.5,
    }


def test_moving_averages_follow_the_methods_images_alone(
    labeled: Batch, adversarial: tf.Tensor, prepared_step: PreparedStep
) -> None:
    classifier, unit = build_classifier(), ADR()
    step = prepared_step(unit, classifier, labeled, adversarial)
    before = classifier.get_weights()
    unit.terms(step)
    for one, other in zip(classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_batch_of_one_class_has_finite_gradients(
    labeled: Batch, adversarial: tf.Tensor, prepared_step: PreparedStep
) -> None:
    classifier, unit = build_classifier(), ADR(counterpart_share=0.5)
    batch = {**labeled, "labels": tf.ones([6], tf.int64)}
    step = prepared_step(unit, classifier, batch, adversarial)
    with tf.GradientTape() as tape:
        loss = tf.add_n(list(unit.terms(step).values()))
    gradients = tape.gradient(loss, classifier.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_training_draws_the_pairs_together(labeled: Batch) -> None:
    logs = {}
    for weight in (0.0, 2.0):
        unit = ADR(weight=weight, smoothness_weight=0.0, confidence_weight=0.0, num_steps=2)
        weights = keras.initializers.HeNormal(seed=1)
        layers = [
            keras.Input((8, 8, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="tanh", kernel_initializer=weights),
            keras.layers.Dense(3, kernel_initializer=weights),
        ]
        trainer = StandardTrainer(keras.Sequential(layers), regularizers=[unit])
        trainer.compile(keras.optimizers.SGD(0.05))
        data = tf.data.Dataset.from_tensors(labeled)
        logs[weight] = trainer.fit(data, epochs=15, verbose=0, shuffle=False).history
    assert logs[2.0]["adr_local"][-1] < 0.7 * logs[0.0]["adr_local"][-1]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_features_are_those_of_our_models(
    policy: str, prepared_step: PreparedStep, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: keras.mixed_precision.set_global_policy("float32"))
    keras.mixed_precision.set_global_policy(policy)
    classifier = resnet18(3, input_shape=(16, 16, 3), width=4, mean=[0.5] * 3, std=[0.2] * 3)
    images = tf.random.stateless_uniform([4, 16, 16, 3], seed=[0, 1])
    batch = {"images": images, "labels": tf.range(4, dtype=tf.int64) % 3}
    unit = ADR()
    step = prepared_step(unit, classifier, batch, images)
    # A pair of two equal images: nothing lies between them but the classes.
    terms = unit.terms(step)
    np.testing.assert_array_equal(terms["adr_local"], np.zeros(4))
    np.testing.assert_array_equal(terms["adr_counterpart"], np.zeros(4))
    expected = confidence(step.anchor.logits)
    np.testing.assert_allclose(terms["adr_confidence"], expected, rtol=1e-4)


def test_classifiers_without_a_last_dense_layer_are_refused() -> None:
    convolution = build_classifier(keras.layers.Dense(3), keras.layers.ReLU(name="odds"))
    with pytest.raises(InputError, match=r"Its last layer is 'odds' of type ReLU\."):
        StandardTrainer(convolution, regularizers=[ADR()])

    class Subclassed(keras.Model):
        """No graph of layers to read features from."""

    with pytest.raises(InputError, match="must be a functional or sequential Keras model"):
        StandardTrainer(Subclassed(), regularizers=[ADR()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "`weight` must be zero or more"),
        ({"global_weight": float("nan")}, "`global_weight` must be zero or more"),
        ({"counterpart_share": 1.5}, r"`counterpart_share` must be in \[0, 1\]"),
        ({"epsilon": 8}, "did you mean 8/255"),
        ({"num_steps": 0}, "`num_steps` must be an integer of at least 1"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ADR(**options)  # type: ignore[arg-type]
