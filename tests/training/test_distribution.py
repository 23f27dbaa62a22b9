"""Training on two replicas, in a process of its own, since devices cannot be split later."""

import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from lsp_keras import datasets, registry
from lsp_keras.inference.fused import fused
from lsp_keras.models import resnet18
from lsp_keras.ops.workers import Workers
from lsp_keras.pretraining import MoCoTrainer
from lsp_keras.regularizers import ADR, LFR, LFRC, LSP
from lsp_keras.training.distribution import (
    check_distributable,
    make_strategy,
    slurm_resolver,
    synchronize_batch_norm,
)
from lsp_keras.validation import InputError

SCRIPT = """
import json, sys
import keras, numpy as np, tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_visible_devices([cpu])
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)

from lsp_keras.attacks.pgd import PGD
from lsp_keras.methods import ATTrainer, StepOptions
from lsp_keras.regularizers import LSP
from lsp_keras.training import CoupledSGD

rng = np.random.default_rng(0)
data = {
    "images": rng.random((16, 8, 8, 3), dtype=np.float32),
    "labels": np.arange(16) % 3,
    "indices": np.arange(16),
    "neighbor_images": rng.random((16, 2, 8, 8, 3), dtype=np.float32),
    "neighbor_distances": rng.random((16, 2), dtype=np.float32),
}
batches = tf.data.Dataset.from_tensor_slices(data).batch(8)

def train(strategy, options, clip):
    with strategy.scope():
        # Without BatchNorm, whose statistics are those of one replica's half of the batch.
        classifier = keras.Sequential([
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
            keras.layers.Activation("relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=2)),
        ])
        attack = PGD(epsilon=0.05, num_steps=1)
        trainer = ATTrainer(classifier, attack=attack, regularizers=[LSP()], seed=1)
        trainer.configure(options)
        optimizer = CoupledSGD(0.1, weight_decay=1e-3, global_clipnorm=clip)
        trainer.compile(optimizer, metrics=["accuracy"])
    logs = trainer.fit(
        batches, epochs=2, verbose=0, shuffle=False, validation_data=batches
    ).history
    weights = classifier.get_weights() + (trainer.average.get_weights() if trainer.average else [])
    return {"logs": logs, "weights": np.concatenate([w.ravel() for w in weights]).tolist()}

one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
moved = StepOptions(awp_gamma=0.1, awp_warmup_steps=1, ema_decay=0.9)
plan = {"plain": (StepOptions(), None), "moved": (moved, 0.1)}[sys.argv[1]]
print(json.dumps([train(strategy, *plan) for strategy in (one, two)]))
"""


# The first step of the other is a plain one.
@pytest.mark.parametrize("plan", [pytest.param("plain", marks=pytest.mark.slow), "moved"])
def test_two_replicas_train_like_one(plan: str) -> None:
    command = [sys.executable, "-c", SCRIPT, plan]
    result = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    one, two = json.loads(result.stdout.splitlines()[-1])
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-3, atol=1e-4)
    assert one["logs"].keys() == two["logs"].keys()
    for name, values in one["logs"].items():
        np.testing.assert_allclose(two["logs"][name], values, rtol=1e-3, atol=1e-3)


def trainer_of(name: str, *regularizers):
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(name="features"),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    return registry.get("method", name)(classifier, regularizers=list(regularizers))


def test_what_one_device_can_do_on_parts_of_a_batch_is_let_through() -> None:
    trainer = trainer_of("standard", LSP(), LFR(), ADR(global_weight=0.0))
    check_distributable(trainer, 32, 4)


@pytest.mark.parametrize(
    ("name", "regularizers", "message"),
    [
        ("mixup", [], "MixupTrainer on 2 replicas would not be the same method"),
        ("cutmix", [], "CutMixTrainer on 2"),
        ("standard", [ADR()], "adr on 2"),
        ("standard", [LFRC(), LSP(neighbors="batch")], "lfrc, lsp on 2"),
    ],
)
def test_what_pairs_images_of_a_batch_is_refused(name, regularizers, message) -> None:
    with pytest.raises(InputError, match=message):
        check_distributable(trainer_of(name, *regularizers), 32, 2)


def test_a_batch_that_does_not_come_out_even_is_refused() -> None:
    with pytest.raises(InputError, match=r"a batch of 32 images evenly\. Choose .* such as 33"):
        check_distributable(trainer_of("standard"), 32, 3)


def test_batch_norm_is_synchronized_wherever_it_lies() -> None:
    inner = trainer_of("standard").classifier
    outer = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.BatchNormalization(), inner])
    assert synchronize_batch_norm(outer) == 2
    assert inner.layers[0].synchronized


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("multi_worker", r"needs \$TF_CONFIG"),
        ("slurm", "for the tasks of an srun"),
        ("horovod", "`distribute` must be"),
    ],
)
def test_a_strategy_that_cannot_be_is_refused(name, message) -> None:
    with pytest.raises(InputError, match=message):
        make_strategy(name, {})


def test_one_process_is_its_own_chief() -> None:
    workers = Workers(make_strategy("auto", {}))
    assert (workers.num_replicas, workers.count, workers.is_chief) == (1, 1, True)
    assert workers.total([1.5, 2]) == [1.5, 2.0]
    assert workers.told("chief's") == "chief's"
    workers.check_agreement("0123456789abcdef", "It")


def test_moco_is_refused_on_several_replicas(monkeypatch) -> None:
    two = SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(MoCoTrainer, "distribute_strategy", two, raising=False)
    with pytest.raises(InputError, match="MoCo trains on one replica"):
        MoCoTrainer(trainer_of("standard").classifier)


def test_synchronized_normalization_differs_from_kerass_like_any_other_kernel() -> None:
    """Rounding, which a deep network enlarges: no digit-by-digit equality can be asked of it."""
    images = datasets.load("digits").test.images[:32].astype(np.float32) / 255.0

    def logits(change: Callable[[keras.Model], object]) -> np.ndarray:
        classifier = resnet18(10, width=4, input_shape=images.shape[1:], seed=0)
        changed = change(classifier)
        model = changed if isinstance(changed, keras.Model) else classifier
        return np.asarray(model(images, training=True))

    expected = logits(lambda classifier: classifier)
    rounding = np.abs(logits(fused) - expected).max()
    assert 0 < np.abs(logits(synchronize_batch_norm) - expected).max() < 10 * rounding < 0.01


def test_tasks_of_slurm_find_each_other_where_there_are_no_gpus(monkeypatch) -> None:
    environment = {
        "SLURM_PROCID": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_STEP_TASKS_PER_NODE": "2",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("shutil.which", lambda name: None)
    resolver = slurm_resolver(environment)
    addresses = ["127.0.0.1:8888", "127.0.0.1:8889"]
    assert resolver.cluster_spec().as_dict() == {"worker": addresses}
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
    assert resolver.num_accelerators() == {}
