"""One worker of a run, started by test_distribution: python distributed_fit.py '{"name": ...}'."""

import json
import sys

import tensorflow as tf


def main() -> None:
    """Trains by `runs.fit` alone, as a script of a user would."""
    given = json.loads(sys.argv[1])
    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * given.pop("processors", 1)
    tf.config.set_logical_device_configuration(processor, parts)

    from lsp_keras.runs import FitConfig, fit

    epochs = given.pop("epochs", 2)
    settings = {
        **{"dataset": "digits", "model": "resnet18", "width": 4, "num_train": 96, "num_test": 20},
        **{"validation_size": 21, "batch_size": 32, "features": "pixels", "num_neighbors": 2},
        # Under L-inf, rounding turns the sign of a gradient near zero: a pixel moves the other way.
        **{"adv": True, "norm": "l2", "epsilon": "32/255", "num_steps": 2, "awp": 0.01},
        **{"ema_decay": 0.9, "learning_rate": 0.02},
        **given.pop("settings", {}),
    }
    result = fit(FitConfig.of(**settings, epochs=epochs), **given, announce=print)
    print(json.dumps(result.history))


main()
