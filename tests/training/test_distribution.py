"""Training on two replicas, in a process of its own, since devices cannot be split later."""

import json
import subprocess
import sys

import numpy as np

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
plans = [(StepOptions(), None), (moved, 0.1)]
print(json.dumps([[train(strategy, *plan) for strategy in (one, two)] for plan in plans]))
"""


def test_two_replicas_train_like_one() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=250, check=True
    )
    for one, two in json.loads(result.stdout.splitlines()[-1]):
        np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-3, atol=1e-4)
        assert one["logs"].keys() == two["logs"].keys()
        for name, values in one["logs"].items():
            np.testing.assert_allclose(two["logs"][name], values, rtol=1e-3, atol=1e-3)
