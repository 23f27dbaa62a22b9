"""What users run without a word about threads: TensorFlow's own choice, and odd batches.

All other tests use one thread for each operator, as the command line does, and so never meet
what oneDNN does with several. `make test` runs this file a second time with
`TF_NUM_INTRAOP_THREADS=0`, TensorFlow's default.
"""

import os

import keras
import numpy as np
import pytest

from lsp_keras import models
from lsp_keras.attacks.apgd import APGD
from lsp_keras.attacks.fgsm import FGSM
from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import diagnose, evaluate, profile
from lsp_keras.evaluation.diagnosis import trials
from lsp_keras.methods.at import ATTrainer
from lsp_keras.types import ThreatModel

pytestmark = pytest.mark.skipif(
    os.environ.get("TF_NUM_INTRAOP_THREADS") != "0",
    reason="needs TensorFlow's default threads: TF_NUM_INTRAOP_THREADS=0, as in make test",
)
THREAT = ThreatModel.parse("8/255")
# TensorFlow 2.20 died in the gradient of a 1x1 filter with stride 2 at odd batches below 64.
ODD_COUNTS = (1, 13)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """The block that is told of above and little else, since a ResNet takes minutes to compile."""
    images = keras.Input((32, 32, 3))
    values = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(images)
    shortcut = keras.layers.Conv2D(8, 1, strides=2, use_bias=False)(values)
    values = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(values)
    values = keras.layers.BatchNormalization()(values)
    values = keras.layers.ReLU()(keras.layers.Add()([values, shortcut]))
    values = keras.layers.GlobalAveragePooling2D(name="features")(values)
    return keras.Model(images, keras.layers.Dense(10, name="logits")(values))


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    images = rng.uniform(size=(count, 32, 32, 3)).astype(np.float32)
    return images, rng.integers(0, 10, count)


@pytest.mark.parametrize("count", ODD_COUNTS)
def test_an_evaluation_of_an_odd_number_of_images(network, count) -> None:
    attacks = {
        "fgsm": FGSM(epsilon="8/255"),
        "pgd": PGD(epsilon="8/255", num_steps=2),
        "apgd": APGD(epsilon="8/255", num_steps=3),
    }
    report = evaluate(network, *examples(count), attacks=attacks, threat=THREAT, batch_size=7)
    assert report.clean.total == count
    assert report.unchecked == {}


def test_a_diagnosis_of_an_odd_number_of_images(network, monkeypatch) -> None:
    monkeypatch.setattr(trials, "_STEP_COUNTS", (1, 2))
    monkeypatch.setattr(trials, "_TEMPERATURES", (1.0,))
    monkeypatch.setattr(trials, "_CONSTANTS", (0.01,))
    monkeypatch.setattr(trials, "_EPSILON_FACTORS", (1.0,))
    monkeypatch.setattr(trials, "NUM_STEPS", 2)
    found = diagnose(network, *examples(13), threat="8/255", num_queries=5)
    assert len(found.checks) == 11


def test_a_profile_of_an_odd_number_of_images(network) -> None:
    found = profile(network, test=examples(13), threat="8/255")
    assert found.spectra


def test_training_on_attacked_images_in_odd_batches() -> None:
    trainer = ATTrainer(
        models.resnet18(10, width=8, seed=0), attack=PGD(epsilon="8/255", num_steps=2)
    )
    trainer.compile(keras.optimizers.SGD(0.01))
    history = trainer.fit(*examples(26), batch_size=13, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_an_attack_inside_an_eager_step() -> None:
    trainer = ATTrainer(
        models.resnet18(10, width=8, seed=0), attack=APGD(epsilon="8/255", num_steps=2)
    )
    images, labels = examples(13)
    found = trainer.attack.perturb(trainer.classifier, images, labels, seed=0).numpy()
    assert 0.0 < np.abs(found - images).max() <= 8 / 255 + 1e-6
