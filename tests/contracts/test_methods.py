"""Every registered training method, with and without LSP: it learns, saves and repeats itself."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import registry
from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import RobustTrainer, StepOptions
from lsp_keras.regularizers import ADR, LFR, LSP, Regularizer
from lsp_keras.training import CoupledSGD
from lsp_keras.validation import InputError

NAMES = registry.names("method")
SHAPE = (8, 8, 3)
IMAGES, CLASSES, NEIGHBORS = 48, 3, 2
PLAIN = StepOptions()
# XLA takes longer to compile a step than all else here; the other methods are `slow`.
COMPILED = {"at"}


def third(first: int) -> list[Any]:
    """All methods, of which every third runs by default: tracing a step takes seconds.

    The others are `slow`. So each method is paired with one of the properties that need a trainer
    of their own, and each property with several methods.
    """
    marks = [[pytest.mark.slow], [pytest.mark.slow]]
    marks.insert(first, [])
    return [pytest.param(name, marks=marks[place % 3]) for place, name in enumerate(NAMES)]


@pytest.fixture(scope="module")
def toy() -> dict[str, np.ndarray]:
    """Images that are brighter in the channel of their class, far beyond any budget."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    images = rng.uniform(0.0, 0.4, size=(IMAGES, *SHAPE)).astype(np.float32)
    images[np.arange(IMAGES), :, :, labels] += 0.4
    neighbors = (np.arange(IMAGES)[:, None] + np.asarray([3, 1])) % IMAGES
    return {
        "images": images,
        "labels": labels,
        "indices": np.arange(IMAGES),
        "neighbor_images": images[neighbors],
        "neighbor_distances": rng.uniform(0.5, 1.5, (IMAGES, NEIGHBORS)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def batches(toy: dict[str, np.ndarray]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(toy).batch(16)


def build_classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(
                4, 3, 2, kernel_initializer=keras.initializers.HeNormal(seed=1), name="conv"
            ),
            keras.layers.BatchNormalization(momentum=0.8, name="norm"),
            keras.layers.Activation("silu"),
            keras.layers.GlobalAveragePooling2D(name="features"),
            keras.layers.Dense(
                CLASSES, kernel_initializer=keras.initializers.HeNormal(seed=2), name="logits"
            ),
        ]
    )


def build_trainer(
    name: str,
    classifier: keras.Model | None = None,
    step_options: StepOptions = PLAIN,
    **options: Any,
) -> RobustTrainer:
    """A trainer of that name; what its constructor requires is looked up by argument name."""
    kind = registry.get("method", name)
    available = {
        "classifier": classifier or build_classifier(),
        "attack": PGD(epsilon=0.03, num_steps=1),
        "helper": build_classifier(),
        "num_images": IMAGES,
    }
    required = {item: available[item] for item in registry.required("method", name)}
    trainer = kind(**required, **{"seed": 4, **options})
    trainer.configure(step_options)
    trainer.compile(CoupledSGD(0.1), metrics=["accuracy"])
    return trainer


class Shared:
    """A trainer that can be as new again: tracing its step takes longer than the training."""

    def __init__(self, name: str, regularizers: list[Regularizer]) -> None:
        self._trainer = build_trainer(name, regularizers=regularizers)
        self._trainer.optimizer.build(self._trainer.trainable_variables)
        variables = [*self._trainer.variables, *self._trainer.optimizer.variables]
        self._start = [(variable, np.array(variable)) for variable in variables]

    def as_new(self) -> RobustTrainer:
        for variable, value in self._start:
            variable.assign(value)
        return self._trainer


@functools.cache
def alone(name: str) -> Shared:
    return Shared(name, [])


@functools.cache
def with_lsp(name: str) -> Shared:
    return Shared(name, [LSP(weight=0.5)])


def fit(trainer: RobustTrainer, batches: tf.data.Dataset, epochs: int) -> dict[str, list[float]]:
    return trainer.fit(batches, epochs=epochs, verbose=0, shuffle=False).history


def assert_same_weights(first: keras.Model, second: keras.Model) -> None:
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_learns_and_repeats_itself(
    name: str, batches: tf.data.Dataset, toy: dict[str, np.ndarray]
) -> None:
    check_learning(name, alone, batches, toy)


@pytest.mark.parametrize("name", third(0))
def test_learns_and_repeats_itself_with_lsp(
    name: str, batches: tf.data.Dataset, toy: dict[str, np.ndarray]
) -> None:
    check_learning(name, with_lsp, batches, toy)


def check_learning(
    name: str,
    shared: Callable[[str], Shared],
    batches: tf.data.Dataset,
    toy: dict[str, np.ndarray],
) -> None:
    trainer = shared(name).as_new()
    logs = fit(trainer, batches, epochs=15)
    assert logs["loss"][-1] < 0.7 * logs["loss"][0]
    predictions = trainer.predict(toy["images"], verbose=0).argmax(axis=1)
    assert np.mean(predictions == toy["labels"]) > 0.9
    assert all(np.isfinite(values).all() for values in logs.values())
    assert ("lsp" in logs) == (shared is with_lsp)
    again = fit(shared(name).as_new(), batches, epochs=2)
    assert again == {term: values[:2] for term, values in logs.items()}


@pytest.mark.parametrize("name", third(1))
def test_measuring_changes_nothing(name: str, batches: tf.data.Dataset) -> None:
    """Nor does another object of the same seed."""
    units = [LSP(weight=0.0), LFR(weight=0.0, num_steps=1), ADR(weight=0.0, num_steps=1)]
    plain, measured = alone(name).as_new(), build_trainer(name, regularizers=units)
    fit(plain, batches, epochs=2)
    logs = fit(measured, batches, epochs=2)
    assert all(logs[term][-1] > 0 for term in ("lsp", "lfr", "adr_local"))
    assert_same_weights(plain.classifier, measured.classifier)


@pytest.mark.parametrize("name", third(2))
def test_all_regularizers_join_and_frozen_layers_stay(name: str, batches: tf.data.Dataset) -> None:
    units: list[Regularizer] = [
        LSP(weight=0.5),
        LFR(num_steps=1),
        ADR(num_steps=1, counterpart_share=0.5),
    ]
    classifier = build_classifier()
    frozen = classifier.get_layer("conv")
    frozen.trainable = False
    before = {layer.name: layer.get_weights() for layer in classifier.layers}
    trainer = build_trainer(name, classifier, regularizers=units)
    logs = fit(trainer, batches, epochs=1)
    weights = dict(trainer.term_weights(0))
    for unit in units:
        weights |= unit.term_weights(0)
    assert len(weights) >= 8
    expected = sum(weight * logs[term][0] for term, weight in weights.items())
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)
    for one, other in zip(frozen.get_weights(), before["conv"], strict=True):
        np.testing.assert_array_equal(one, other)
    # The moving averages among them.
    for layer in ("norm", "logits"):
        for one, other in zip(
            classifier.get_layer(layer).get_weights(), before[layer], strict=True
        ):
            assert np.abs(one - other).max() > 0


@pytest.mark.parametrize("name", third(0))
def test_saved_trainer_goes_on_as_if_nothing_had_happened(
    name: str, batches: tf.data.Dataset, tmp_path: Path
) -> None:
    trainer = with_lsp(name).as_new()
    fit(trainer, batches, epochs=1)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras", safe_mode=True)
    assert type(loaded) is type(trainer)
    assert fit(loaded, batches, epochs=2) == fit(trainer, batches, epochs=2)
    assert_same_weights(loaded.classifier, trainer.classifier)


@pytest.mark.parametrize("name", NAMES)
def test_classifier_is_a_plain_model_in_every_file(
    name: str, batches: tf.data.Dataset, toy: dict[str, np.ndarray], tmp_path: Path
) -> None:
    trainer = alone(name).as_new()
    fit(trainer, batches, epochs=1)
    trainer.classifier.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(loaded).__module__.startswith("keras.")
    np.testing.assert_array_equal(
        loaded(toy["images"], training=False), trainer.classifier(toy["images"], training=False)
    )


@pytest.mark.parametrize("name", third(2))
def test_weights_are_moved_and_averaged_after_the_warm_up(
    name: str, batches: tf.data.Dataset
) -> None:
    """Until the warm-up is over the step is the plain one, to the last bit."""
    options = StepOptions(awp_gamma=0.1, awp_warmup_steps=3, ema_decay=0.9)
    plain, trainer = alone(name).as_new(), build_trainer(name, step_options=options)
    assert type(trainer).from_config(trainer.get_config()).options == options
    assert fit(trainer, batches, epochs=1) == fit(plain, batches, epochs=1)
    assert_same_weights(plain.classifier, trainer.classifier)
    assert fit(trainer, batches, epochs=1)["loss"] != fit(plain, batches, epochs=1)["loss"]
    assert trainer.average is not None
    for average, weight in zip(trainer.average.weights, trainer.classifier.weights, strict=True):
        assert 0 < np.abs(np.asarray(average) - np.asarray(weight)).max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_smoothed_or_the_option_is_refused(
    name: str, toy: dict[str, np.ndarray]
) -> None:
    if not registry.get("method", name).smooths_labels:
        with pytest.raises(InputError, match="has no label smoothing"):
            build_trainer(name, step_options=StepOptions(label_smoothing=0.5))
        return
    batch = {key: tf.constant(value[:8]) for key, value in toy.items()}
    values = []
    for smoothing in (0.0, 0.5):
        trainer = build_trainer(name, step_options=StepOptions(label_smoothing=smoothing))
        terms, _ = trainer.compute_terms(batch, trainer.perturb(batch))
        values.append(terms["cross_entropy"].numpy())
    assert np.abs(values[0] - values[1]).min() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_stays_off_a_gpu(name: str) -> None:
    trainer = build_trainer(name, step_options=StepOptions(ema_decay=0.9))
    trainer.optimizer.build(trainer.trainable_variables)
    # TensorFlow keeps int32 on the CPU, where a step that XLA compiled for a GPU cannot read it.
    held = [*trainer.variables, *trainer.optimizer.variables]
    assert [variable.path for variable in held if variable.dtype == "int32"] == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in COMPILED else [pytest.mark.slow]) for name in NAMES],
)
def test_step_compiled_with_xla_is_the_same_step(name: str, batches: tf.data.Dataset) -> None:
    """Up to rounding; a sign of the attack's gradient may turn where it is nearly zero."""
    plain, compiled = alone(name).as_new(), build_trainer(name)
    compiled.compile(CoupledSGD(0.1), metrics=["accuracy"], jit_compile=True)
    expected, found = fit(plain, batches, epochs=1), fit(compiled, batches, epochs=1)
    assert found.keys() == expected.keys()
    for term, values in expected.items():
        np.testing.assert_allclose(found[term], values, rtol=1e-3, atol=1e-3)
    weights = zip(compiled.classifier.get_weights(), plain.classifier.get_weights(), strict=True)
    for one, other in weights:
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)
