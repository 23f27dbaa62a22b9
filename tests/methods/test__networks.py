import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.inference.folding import NormalizedConvolution
from lsp_keras.inference.fused import FusedNormalization
from lsp_keras.methods import ATTrainer, RobustTrainer, StepOptions
from lsp_keras.methods._networks import Networks
from lsp_keras.models import resnet18
from lsp_keras.regularizers import LFRC, LSP


def one_block() -> keras.Model:
    """A stem and one residual block: what a ResNet repeats, traced in a fraction of the time."""
    layers = keras.layers

    def convolved(values, seed):
        options = {"padding": "same", "use_bias": False, "name": f"conv{seed}"}
        initializer = keras.initializers.HeNormal(seed=seed)
        values = layers.Conv2D(4, 3, kernel_initializer=initializer, **options)(values)
        return layers.BatchNormalization(name=f"norm{seed}")(values)

    images = keras.Input((16, 16, 3))
    stem = layers.ReLU()(convolved(images, 1))
    inner = layers.ReLU()(convolved(stem, 2))
    values = layers.ReLU()(layers.Add()([convolved(inner, 3), stem]))
    features = layers.GlobalAveragePooling2D(name="features")(values)
    initializer = keras.initializers.GlorotUniform(seed=4)
    logits = layers.Dense(10, kernel_initializer=initializer, name="logits")(features)
    return keras.Model(images, logits)


def build_trainer(fused: bool) -> RobustTrainer:
    trainer = ATTrainer(
        one_block(),
        attack=PGD(epsilon=0.03, num_steps=2),
        regularizers=[LSP(neighbors="batch", num_neighbors=4), LFRC(weight=1.0)],
    )
    trainer.configure(StepOptions(fused=fused))
    trainer.compile(keras.optimizers.SGD(0.1))
    return trainer


@pytest.fixture(scope="module")
def batches() -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    batch = {
        "images": rng.random((32, 16, 16, 3), dtype=np.float32),
        "labels": np.arange(32) % 10,
        "indices": np.arange(32),
        "features": rng.random((32, 6), dtype=np.float32),
    }
    return tf.data.Dataset.from_tensor_slices(batch).batch(16)


@pytest.fixture(scope="module")
def trained(batches: tf.data.Dataset) -> tuple[RobustTrainer, RobustTrainer]:
    """A trainer with the faster forms and a plain one, after one step."""
    trainers = build_trainer(True), build_trainer(False)
    for trainer in trainers:
        trainer.fit(batches.take(1), verbose=0, shuffle=False)
    return trainers


def test_a_step_is_that_of_keras_up_to_rounding(
    trained: tuple[RobustTrainer, RobustTrainer],
) -> None:
    """A step with an attack; a pixel whose gradient is nearly zero may change its sign."""
    faster, plain = trained
    networks = Networks(faster.classifier)
    assert count(networks.training, FusedNormalization) == 3
    assert count(networks.attacked, NormalizedConvolution) == 3
    logs, other_logs = faster.history.history, plain.history.history
    for name, values in logs.items():
        np.testing.assert_allclose(values, other_logs[name], rtol=1e-3)
    pairs = zip(faster.classifier.get_weights(), plain.classifier.get_weights(), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=0.05, atol=5e-3)


def count(model: keras.Model, kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in model.layers)


def test_forms_share_the_classifiers_variables() -> None:
    classifier = resnet18(10, width=4)
    networks = Networks(classifier)
    for model, kind in (
        (networks.training, FusedNormalization),
        (networks.features, FusedNormalization),
        (networks.attacked, NormalizedConvolution),
    ):
        assert any(isinstance(layer, kind) for layer in model.layers)
        assert {id(item) for item in model.variables} == {id(v) for v in classifier.variables}


def test_without_them_every_form_is_the_classifier() -> None:
    classifier = resnet18(10, width=4)
    networks = Networks(classifier, faster=False)
    assert networks.training is networks.attacked is classifier


def test_a_trainer_holds_each_variable_once(
    trained: tuple[RobustTrainer, RobustTrainer],
) -> None:
    trainer, plain = trained
    assert [v.path for v in trainer.variables] == [v.path for v in plain.variables]
    assert len(trainer.layers) == len(plain.layers)
