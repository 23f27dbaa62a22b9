"""What a measurement was made with: the model's fingerprint, versions and hardware."""

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import lsp_keras
from lsp_keras.classifiers import Classifier
from lsp_keras.inference.row_function import num_cores
from lsp_keras.storage import fingerprint

_PACKAGES = ("tensorflow", "keras", "numpy", "cleverhans")


def model_fingerprint(model: Any) -> str | None:
    """Digest of a model's architecture and weights; `None` for a callable that has none."""
    if not isinstance(model, keras.Model):
        return getattr(model, "fingerprint", None)
    weights = [variable.numpy() for variable in model.weights]
    return fingerprint([list(array.shape) for array in weights], *weights)


def reading_fingerprint(own: str | None, classifier: Classifier) -> str | None:
    """Digest of a model and of how it is read: its pixels' range, its output, what that answers.

    Args:
        own: Fingerprint of the model, which takes a pass over its weights.
        classifier: Classifier that the model was read as.
    """
    return own and fingerprint(own, str(classifier.pixels), str(classifier.answers))


def versions() -> Mapping[str, str]:
    """Versions of all that numbers depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"lsp-keras": lsp_keras.__version__, "python": platform.python_version()} | found


def hardware() -> Mapping[str, Any]:
    """Processor, its cores, and the GPUs that TensorFlow sees."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return {
        "cpu": _cpu_name(),
        "cores": num_cores(),
        "gpus": [detail.get("device_name", "unknown") for detail in details],
    }


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
