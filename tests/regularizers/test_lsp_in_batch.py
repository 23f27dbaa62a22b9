"""LSP among the images of the batch, against NumPy and numbers by hand."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.losses import lsp_loss
from lsp_keras.losses._kernel import kernel_loss
from lsp_keras.methods import (
    ATTrainer,
    AugMixTrainer,
    MARTTrainer,
    MixupTrainer,
    RobustTrainer,
    StandardTrainer,
    StepOptions,
    TRADESTrainer,
)
from lsp_keras.regularizers import LFRC, LSP, Anchor, Batch, Outputs, Step
from lsp_keras.validation import InputError

IMAGES, CLASSES = 8, 3
# On a line, so that distances are differences: 0 1 3 6 10 15 21 28.
PLACES = np.cumsum(np.arange(IMAGES)).astype(np.float32)
TARGETS = ["shares", "ranks", "kernel"]


def build_classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, 2, kernel_initializer=keras.initializers.HeNormal(seed=1)),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Activation("silu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.HeNormal(seed=2)),
        ]
    )


@pytest.fixture(scope="module")
def batch() -> Batch:
    images = np.random.default_rng(0).random((IMAGES, 8, 8, 3), dtype=np.float32)
    return {
        "images": tf.constant(images),
        "labels": tf.constant(np.arange(IMAGES) % CLASSES),
        "indices": tf.range(IMAGES, dtype=tf.int64),
        "features": tf.constant(PLACES[:, None].astype(np.float16)),
    }


@pytest.fixture(scope="module")
def logits() -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(size=(2, IMAGES, CLASSES)), tf.float32)


CLASSIFIER = build_classifier()


def step_of(batch: Batch, logits: tf.Tensor, *, seed: int = 0) -> Step:
    """Of a method that attacks and computed the clean logits too: the second of the two."""
    anchor = Anchor(batch["images"] + 0.1, logits[0], clean=Outputs(logits[1]))
    return Step(CLASSIFIER, batch, anchor, tf.constant(seed, tf.int64), tf.constant(0))


def loss_of(batch: Batch, logits: tf.Tensor, *, seed: int = 0, **options: Any) -> np.ndarray:
    unit = LSP(neighbors="batch", **{"num_neighbors": 3, **options})
    return unit.terms(step_of(batch, logits, seed=seed))["lsp"].numpy()


def expected_loss(columns: Any, shares: np.ndarray, logits: tf.Tensor) -> np.ndarray:
    anchors, others = logits.numpy()
    found = np.linalg.norm(others[np.asarray(columns)] - anchors[:, None], axis=2)
    return np.linalg.norm(found / found.sum(axis=1, keepdims=True) - shares, axis=1)


def nearest_columns(places: np.ndarray, ranks: list[int]) -> np.ndarray:
    gaps = np.abs(places[:, None] - places[None]).astype(float)
    np.fill_diagonal(gaps, np.inf)
    return np.argsort(gaps, axis=1, kind="stable")[:, ranks]


def shares_of(columns: np.ndarray) -> np.ndarray:
    gaps = np.abs(PLACES[columns] - PLACES[:, None])
    return gaps / gaps.sum(axis=1, keepdims=True)


def test_the_nearest_of_one_image_by_hand(batch: Batch) -> None:
    """Image 0 lies at 0, its nearest at 1, 3 and 6: P is .1, .3, .6. Its logits see 1, 1, 2."""
    logits = np.zeros((2, IMAGES, 1), np.float32)
    logits[1, :4, 0] = [0.0, 1.0, -1.0, 2.0]
    expected = np.linalg.norm(np.array([0.25, 0.25, 0.5]) - [0.1, 0.3, 0.6])
    assert loss_of(batch, tf.constant(logits))[0] == pytest.approx(expected, rel=1e-5)


def test_shares_of_all_images_equal_numpy(batch: Batch, logits: tf.Tensor) -> None:
    columns = nearest_columns(PLACES, [0, 1, 2])
    expected = expected_loss(columns, shares_of(columns), logits)
    np.testing.assert_allclose(loss_of(batch, logits), expected, rtol=1e-4)


def test_ranks_take_every_power_of_two(batch: Batch, logits: tf.Tensor) -> None:
    columns = nearest_columns(PLACES, [0, 1, 3])
    expected = expected_loss(columns, shares_of(columns), logits)
    np.testing.assert_allclose(loss_of(batch, logits, target="ranks"), expected, rtol=1e-4)


def test_ranks_end_where_the_batch_ends(batch: Batch, logits: tf.Tensor) -> None:
    many = loss_of(batch, logits, target="ranks", num_neighbors=8)
    np.testing.assert_array_equal(many, loss_of(batch, logits, target="ranks"))
    assert LSP(target="ranks").positions(2**9) == [0, 1, 3, 7, 15, 31, 63, 127]


def test_kernel_compares_all_images_by_kl(batch: Batch, logits: tf.Tensor) -> None:
    gaps = np.abs(PLACES[:, None] - PLACES[None])
    np.fill_diagonal(gaps, np.inf)
    found = loss_of(batch, logits, target="kernel", perplexity=3.0)
    expected = kernel_loss(tf.constant(gaps), logits[0], logits[1], perplexity=3.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found.min() > 0.05


def test_kernel_is_zero_where_the_logits_have_the_features_places(batch: Batch) -> None:
    logits = tf.stack([7.0 * batch["features"]] * 2)
    found = loss_of(batch, tf.cast(logits, tf.float32), target="kernel", perplexity=3.0)
    np.testing.assert_allclose(found, np.zeros(IMAGES), atol=1e-3)


def test_uniform_control_has_equal_shares(batch: Batch, logits: tf.Tensor) -> None:
    columns = nearest_columns(PLACES, [0, 1, 2])
    expected = expected_loss(columns, np.full((IMAGES, 3), 1 / 3), logits)
    np.testing.assert_allclose(loss_of(batch, logits, control="uniform"), expected, rtol=1e-4)


def test_uniform_kernel_is_kl_from_equal_shares(batch: Batch, logits: tf.Tensor) -> None:
    """At the perplexity of equal shares Q is nearly equal too, whatever the logits."""
    options: dict[str, Any] = {"target": "kernel", "control": "uniform"}
    assert loss_of(batch, logits, perplexity=6.99, **options).max() < 0.05
    assert loss_of(batch, logits, perplexity=2.0, **options).min() > 0.3


def test_shuffled_control_takes_the_neighbors_of_an_image_half_a_batch_away(
    batch: Batch, logits: tf.Tensor
) -> None:
    columns = np.roll(nearest_columns(PLACES, [0, 1, 2, 3]), IMAGES // 2, axis=0)
    kept = [[column for column in row if column != i][:3] for i, row in enumerate(columns)]
    sources = np.roll(PLACES, IMAGES // 2)
    gaps = np.abs(PLACES[np.asarray(kept)] - sources[:, None])
    expected = expected_loss(kept, gaps / gaps.sum(axis=1, keepdims=True), logits)
    np.testing.assert_allclose(loss_of(batch, logits, control="shuffled"), expected, rtol=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_random_control_keeps_the_structure_and_deals_it_to_others(
    target: str, batch: Batch, logits: tf.Tensor
) -> None:
    """It is the loss of features in another order, one that changes with the seed."""
    options: dict[str, Any] = {"target": target, "perplexity": 3.0}
    first = loss_of(batch, logits, control="random", seed=1, **options)
    again = loss_of(batch, logits, control="random", seed=1, **options)
    other = loss_of(batch, logits, control="random", seed=2, **options)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first - loss_of(batch, logits, **options)).max() > 1e-3


def test_random_control_is_a_permutation_of_the_features(batch: Batch) -> None:
    """With the logits in the features' own places the kernel loss would be zero: it is not, but
    the entropy of P, which no order changes, is that of the perplexity."""
    logits = tf.cast(tf.stack([batch["features"]] * 2), tf.float32)
    options: dict[str, Any] = {"target": "kernel", "perplexity": 3.0}
    assert loss_of(batch, logits, control="random", seed=1, **options).mean() > 0.1


# Every target and every control, but not every pair, since XLA takes seconds to compile a pair.
@pytest.mark.parametrize(
    ("target", "control"),
    [
        ("shares", "none"),
        ("kernel", "none"),
        ("ranks", "uniform"),
        ("kernel", "shuffled"),
        ("shares", "random"),
    ],
)
def test_compiled_terms_and_their_gradients_equal_plain_ones(
    target: Any, control: Any, batch: Batch, logits: tf.Tensor
) -> None:
    unit = LSP(neighbors="batch", target=target, control=control, num_neighbors=4, perplexity=3.0)

    def terms(logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = unit.terms(step_of(batch, logits, seed=5))["lsp"]
        return loss, tape.gradient(loss, logits)

    plain, compiled = terms(logits), tf.function(terms, jit_compile=True)(logits)
    for one, other in zip(plain, compiled, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-4)
    assert np.abs(plain[1]).max() > 1e-3


@pytest.mark.parametrize("target", TARGETS)
def test_a_compiled_step_on_features_equals_a_plain_one(target: Any, batch: Batch) -> None:
    weights = []
    for compiled in (False, True):
        unit = LSP(
            neighbors="batch", target=target, layer="features", num_neighbors=4, perplexity=3.0
        )
        trainer = StandardTrainer(build_classifier(), regularizers=[unit])
        trainer.compile(keras.optimizers.SGD(0.1), jit_compile=compiled)
        data = tf.data.Dataset.from_tensors(dict(batch))
        logs = trainer.fit(data, shuffle=False, verbose=0).history
        assert np.isfinite(logs["lsp"][0])
        weights.append(trainer.classifier.get_weights())
    for plain, other in zip(*weights, strict=True):
        assert np.isfinite(plain).all()
        np.testing.assert_allclose(plain, other, rtol=1e-2, atol=1e-4)


def test_images_and_features_that_coincide_have_finite_gradients(batch: Batch) -> None:
    same = {**batch, "features": tf.zeros([IMAGES, 2], tf.float16)}
    logits = tf.zeros([IMAGES, CLASSES])
    target: Any
    for target in TARGETS:
        unit = LSP(neighbors="batch", target=target, num_neighbors=4, perplexity=3.0)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            step = step_of(same, tf.stack([logits, logits]))
            loss = unit.terms(step)["lsp"]
        assert np.isfinite(loss).all()
        assert np.isfinite(tape.gradient(loss, logits)).all()


class Passes:
    """Counts the classifier's passes while a trainer's loss is computed."""

    def __init__(self, trainer: RobustTrainer) -> None:
        self.trainer = trainer
        self.count = 0

    def run(self, batch: Batch) -> None:
        """One step's terms, without the attack's passes."""
        trainer = self.trainer
        trainer.configure(StepOptions(fused=False))
        trainer.compile(keras.optimizers.SGD(0.1))
        perturbed = trainer.perturb(batch)
        normalization = trainer.classifier.layers[1]
        call = normalization.call

        def counted(*arguments: object, **options: Any) -> object:
            self.count += 1
            return call(*arguments, **options)

        normalization.call = counted
        trainer._all_terms(batch, perturbed, trainer._prepare(batch, perturbed))
        normalization.call = call


@pytest.mark.parametrize(
    ("kind", "options", "passes"),
    [
        (StandardTrainer, {}, 1),
        (MixupTrainer, {}, 2),
        (AugMixTrainer, {}, 1),
        (ATTrainer, {"attack": PGD(epsilon=0.03, num_steps=1)}, 2),
        (TRADESTrainer, {"attack": PGD(epsilon=0.03, num_steps=1)}, 2),
        (MARTTrainer, {"attack": PGD(epsilon=0.03, num_steps=1)}, 2),
    ],
)
def test_clean_images_pass_once(
    kind: type[RobustTrainer], options: dict[str, Any], passes: int, batch: Batch
) -> None:
    """A method's own clean pass serves the regularizer; only `at` has none."""
    units: list[Any] = [LSP(neighbors="batch", num_neighbors=4)]
    if "attack" in options:
        units.append(LFRC(name="relation"))
    for unit in units:
        counter = Passes(kind(build_classifier(), regularizers=[unit], **options))
        counter.run(batch)
        assert counter.count == passes


def test_at_measures_its_own_clean_pass_with_gradient(batch: Batch) -> None:
    """Against the same pass by hand; the moving averages follow the adversarial images alone."""
    attack = PGD(epsilon=0.03, num_steps=1, random_start=False)
    unit = LSP(neighbors="batch", num_neighbors=4)
    trainer = ATTrainer(build_classifier(), attack=attack, regularizers=[unit])
    trainer.compile(keras.optimizers.SGD(0.1))
    adversarial = trainer.perturb(batch)
    twin, plain = build_classifier(), build_classifier()
    others = twin(batch["images"], training=True)
    anchors = plain(adversarial, training=True)
    columns = nearest_columns(PLACES, [0, 1, 2, 3])
    gaps = tf.constant(np.abs(PLACES[columns] - PLACES[:, None]))
    expected = lsp_loss(gaps, anchors, tf.gather(others, columns))
    with tf.GradientTape() as tape:
        terms, _ = trainer._all_terms(batch, adversarial, {"lsp": None})
    np.testing.assert_allclose(terms["lsp"], expected, rtol=1e-4)
    np.testing.assert_allclose(
        trainer.classifier.layers[1].moving_mean, plain.layers[1].moving_mean, rtol=1e-5
    )
    assert np.abs(tape.gradient(terms["lsp"], trainer.classifier.layers[0].kernel)).max() > 1e-4


def test_neighbors_gradient_can_be_stopped(batch: Batch, logits: tf.Tensor) -> None:
    def slope(flows: bool) -> Any:
        unit = LSP(neighbors="batch", num_neighbors=3, neighbor_gradient=flows)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            step = step_of(batch, logits)
            clean = replace(step.anchor, logits=tf.stop_gradient(logits[0]))
            loss = unit.terms(replace(step, anchor=clean))["lsp"]
        return tape.gradient(loss, logits)

    assert np.abs(slope(True)).max() > 1e-3
    assert slope(False) is None


def test_fresh_shuffled_neighbors_are_those_of_another_image() -> None:
    rng = np.random.default_rng(0)
    images = tf.constant(rng.random((4, 8, 8, 3), dtype=np.float32))
    batch = {
        "images": images,
        "neighbor_images": tf.constant(rng.random((4, 2, 8, 8, 3), dtype=np.float32)),
        "neighbor_distances": tf.constant(rng.random((4, 2), dtype=np.float32)),
    }
    moved = {name: tf.roll(value, 2, axis=0) for name, value in batch.items()} | {"images": images}
    zero, anchors = tf.constant(0, tf.int64), tf.eye(4, 3)
    pairs: list[tuple[Any, Any]] = [("shuffled", batch), ("none", moved)]
    found, expected = (
        LSP(control=control, neighbor_batch_norm="inference").terms(
            Step(build_classifier(), data, Anchor(images, anchors), zero, zero)
        )["lsp"]
        for control, data in pairs
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbors": "bank"}, "`neighbors` must be one of"),
        ({"target": "kernel"}, "it needs `neighbors='batch'`"),
        ({"control": "random"}, "`--space global`"),
        ({"neighbors": "batch", "neighbor_batch_norm": "joint"}, "are in it already"),
        ({"layer": "features", "neighbor_batch_norm": "joint"}, "for the logits of fresh"),
        ({"perplexity": 1.0}, "`perplexity` must be more than 1"),
        ({"num_neighbors": 0}, "`num_neighbors` must be"),
    ],
)
def test_what_contradicts_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LSP(**options)


def test_batches_without_features_are_refused(batch: Batch, logits: tf.Tensor) -> None:
    plain = {name: value for name, value in batch.items() if name != "features"}
    with pytest.raises(InputError, match=r"`features` of each image.*Pass `features=`"):
        loss_of(plain, logits)
