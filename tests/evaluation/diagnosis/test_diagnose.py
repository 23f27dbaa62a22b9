import json
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import LocalStructure, diagnose
from lsp_keras.evaluation.diagnosis import trials as _trials
from lsp_keras.methods.at import ATTrainer
from lsp_keras.methods.standard import StandardTrainer
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError

THREAT = ThreatModel.parse("0.1")
NUM_TRAIN, NUM_TEST = 1400, 64
CLEAN_RECORD = {"flags": [], "worst_case_accuracy": {"value": 0.45}}


@pytest.fixture(scope="module", autouse=True)
def _fewer_trials() -> Iterator[None]:
    """Half of the points on each curve, since every attack is compiled for every model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trials, "_EPSILON_FACTORS", (1.0, 4.0))
        patch.setattr(_trials, "_STEP_COUNTS", (1, 20, 50))
        patch.setattr(_trials, "_TEMPERATURES", (1.0, 100.0))
        patch.setattr(_trials, "_CONSTANTS", (0.01, 1.0))
        yield


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[..., None] / 16).astype(np.float32), found.target


def train(digits, trainer_of) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dense(10),
        ]
    )
    trainer = trainer_of(model)
    trainer.compile(keras.optimizers.Adam(0.01))
    images, labels = (part[:NUM_TRAIN] for part in digits)
    trainer.fit(images, labels, batch_size=100, epochs=15, verbose=0)
    return model


@pytest.fixture(scope="module")
def plain(digits) -> keras.Model:
    return train(digits, StandardTrainer)


@pytest.fixture(scope="module")
def robust(digits) -> keras.Model:
    attack = PGD(epsilon=0.1, step_size=0.03, num_steps=5)
    return train(digits, lambda model: ATTrainer(model, attack=attack))


def run(model, digits, **options):
    images, labels = (part[NUM_TRAIN : NUM_TRAIN + NUM_TEST] for part in digits)
    return diagnose(model, images, labels, threat=THREAT, num_queries=200, **options)


def names(found) -> set[str]:
    return {flag.name for flag in found.flags}


@pytest.fixture(scope="module")
def of_the_plain_model(plain, digits):
    return run(plain, digits)


def test_a_plain_model_raises_nothing(of_the_plain_model) -> None:
    found = of_the_plain_model
    assert found.flags == []
    assert found.verdict.startswith("No sign of gradient masking in 11 checks")
    assert set(found.skipped) == {
        "transfer_beats_white_box",
        "adaptive_beats_plain",
        "autoattack_flags",
    }
    assert found.single_accuracies["clean"] > 0.9
    assert 0.0 < found.white_box_accuracy < 0.6
    assert found.sweeps["radius"][0.5] == 0.0


def test_cw_with_a_fixed_constant_is_decided_by_it(of_the_plain_model) -> None:
    (remark,) = of_the_plain_model.remarks
    assert remark.name == "constant_decides"
    by_constant = of_the_plain_model.sweeps["constant"]
    assert remark.number == pytest.approx(by_constant[0.01] - min(by_constant.values()))


def test_the_record_is_complete_and_says_the_verdict_first(of_the_plain_model) -> None:
    record = json.loads(json.dumps(of_the_plain_model.to_dict()))
    assert next(iter(record)) == "verdict"
    assert record["num_examples"] == NUM_TEST
    assert record["accuracy_by_epsilon"][-1] == {"epsilon": 0.5, "accuracy": 0.0}
    assert [entry["steps"] for entry in record["accuracy_by_steps"]] == [1, 20, 50]
    assert 1.0 in [entry["temperature"] for entry in record["accuracy_by_temperature"]]
    assert len(record["checks"]) == 11
    assert set(record["checks"][0]) == {"name", "number", "threshold", "raised", "measure"}
    assert set(record["remarks"][0]) >= {"name", "number", "threshold", "meaning", "advice"}
    # The loss rises towards the attacked image (offset 1) more than in a random direction.
    surface = record["loss_surface"]
    one = surface["offsets"].index(1.0)
    adversarial, sideways = (
        surface[f"mean_loss_along_{name}"][one] for name in ("adversarial", "random")
    )
    assert adversarial > 2.0 * sideways


def test_an_adversarially_trained_model_raises_nothing(robust, plain, digits) -> None:
    images, _ = digits
    tested = slice(NUM_TRAIN, NUM_TRAIN + NUM_TEST)
    distances = np.linalg.norm(
        (images[tested, None] - images[None, :NUM_TRAIN]).reshape(NUM_TEST, NUM_TRAIN, -1), axis=2
    )
    nearest = np.argsort(distances, axis=1)[:, :2]
    structure = LocalStructure(
        neighbor_images=np.rint(255 * images[:NUM_TRAIN][nearest]).astype(np.uint8),
        neighbor_distances=np.take_along_axis(distances, nearest, axis=1).astype(np.float32),
        weight=1.0,
        divergence="l2",
        normalize_logits=False,
    )
    found = run(
        robust,
        digits,
        transfer_from=plain,
        structure=structure,
        autoattack=CLEAN_RECORD | {"worst_case_accuracy": {"value": 0.65}},
    )
    assert found.flags == []
    assert found.skipped == {}
    assert len(found.checks) == 15
    assert found.white_box_accuracy > 0.6
    assert found.single_accuracies["transfer"] > found.white_box_accuracy
    assert list(found.sweeps["structure"]) == [1.0, 10.0, 100.0]


def test_a_quantized_input_is_found_out(plain, digits, monkeypatch) -> None:
    monkeypatch.setattr(_trials, "_TEMPERATURES", (1.0,))
    monkeypatch.setattr(_trials, "_CONSTANTS", (0.01,))
    found = run(
        lambda images: plain(tf.round(images * 16) / 16),
        digits,
        transfer_from=plain,
        autoattack=CLEAN_RECORD | {"flags": [{"name": "unmoved_images", "advice": "Mend it."}]},
    )
    assert names(found) == {
        "accuracy_stays_up",
        "black_box_beats_white_box",
        "transfer_beats_white_box",
        "unmoved_images",
        "autoattack_flags",
        "autoattack_far_below",
    }
    assert found.verdict.startswith("The measured robustness is not to be trusted: ")


def test_a_huge_scale_of_logits_is_found_out_twice_and_changes_no_attack(
    plain, digits, of_the_plain_model
) -> None:
    # Softmax saturates for most images: their loss is exactly 0, and so is its gradient.
    found = run(lambda images: 100.0 * plain(images), digits)
    assert names(found) == {"temperature_matters", "saturated_softmax"}
    by_divisor = found.sweeps["temperature"]
    assert by_divisor[1.0] > 0.8
    assert by_divisor[100.0] == of_the_plain_model.sweeps["temperature"][1.0]
    for group in ("radius", "steps", "margin", "fgsm", "square", "constant"):
        assert found.accuracies[group] == of_the_plain_model.accuracies[group], group


def distilled(digits) -> keras.Model:
    """A network trained at a temperature of 100, whose own logits are a hundred times larger."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dense(10),
        ]
    )

    def at_temperature(labels, logits):
        return keras.losses.sparse_categorical_crossentropy(labels, logits / 100.0, True)

    model.compile(keras.optimizers.Adam(0.05), at_temperature)
    images, labels = (part[:NUM_TRAIN] for part in digits)
    model.fit(images, labels, batch_size=100, epochs=30, verbose=0)
    return model


@pytest.mark.slow
def test_distillation_shows_two_signs_of_its_own(digits) -> None:
    found = run(distilled(digits), digits)
    assert names(found) >= {"temperature_matters", "saturated_softmax"}
    assert found.single_accuracies["clean"] > 0.9
    # The attacks here are not deceived: the network is not robust.
    assert found.white_box_accuracy < 0.6


class Winners(keras.layers.Layer):
    """Keeps the largest entries of each row and drops the others: k-winners-take-all."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def call(self, values: tf.Tensor) -> tf.Tensor:
        least = tf.math.top_k(values, self.count).values[:, -1:]
        return tf.where(values >= least, values, 0.0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_winners_take_all_shows_more_than_one_sign(digits, monkeypatch) -> None:
    monkeypatch.setattr(_trials, "_TEMPERATURES", (1.0,))
    monkeypatch.setattr(_trials, "_CONSTANTS", (0.01,))
    monkeypatch.setattr(_trials, "_EPSILON_FACTORS", (1.0,))
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(2048),
            Winners(40),
            layers.Dense(2048),
            Winners(40),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    images, labels = (part[:NUM_TRAIN] for part in digits)
    model.fit(images, labels, batch_size=100, epochs=40, verbose=0)
    found = run(model, digits)
    assert names(found) >= {"black_box_beats_white_box", "unstable_gradients"}
    assert found.verdict.startswith("The measured robustness is not to be trusted")


def test_a_model_that_is_always_wrong_leaves_nothing_to_judge(plain, digits) -> None:
    images, labels = digits
    found = diagnose(plain, images[-12:], (labels[-12:] + 1) % 10, threat="0.1", num_queries=20)
    assert found.verdict.startswith("Nothing to judge: the model is right on 0 of 12 images")


def ragged(images: tf.Tensor) -> tf.Tensor:
    """Logits of bright against dark, with ripples far finer than a step of the attack."""
    score = 20.0 * (tf.reduce_mean(images, axis=[1, 2, 3]) - 0.5)
    ripples = 2.0 * tf.sin(2e4 * tf.reduce_mean(images, axis=[1, 2, 3]))
    return tf.stack([-score - ripples, score + ripples], axis=1)


def test_a_ragged_loss_is_found_out(monkeypatch) -> None:
    monkeypatch.setattr(_trials, "_TEMPERATURES", (1.0,))
    monkeypatch.setattr(_trials, "_CONSTANTS", (0.01,))
    monkeypatch.setattr(_trials, "_EPSILON_FACTORS", (1.0,))
    generator = np.random.default_rng(0)
    images = generator.uniform(0.6, 0.7, (32, 4, 4, 1)).astype(np.float32)
    found = diagnose(ragged, images, np.ones(32, int), threat=THREAT, num_queries=50)
    assert names(found) >= {
        "unstable_gradients",
        "shattered_gradients",
        "unfinished_optimization",
    }


def test_l1_is_refused() -> None:
    with pytest.raises(InputError, match="L-inf or L2"):
        diagnose(lambda x: x, np.zeros((1, 2, 2, 1)), [0], threat=ThreatModel.parse("1", "l1"))


def test_a_model_of_other_classes_cannot_be_transferred_from(
    contrast_model, contrast_examples, plain
) -> None:
    def three(images: tf.Tensor) -> tf.Tensor:
        return tf.pad(contrast_model(images), [[0, 0], [0, 1]])

    with pytest.raises(InputError, match="must have the model's 2 classes"):
        diagnose(contrast_model, *contrast_examples, threat=THREAT, transfer_from=three)
