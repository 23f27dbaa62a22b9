"""What makes a whole run a matter of seconds."""

from importlib import import_module
from typing import Any

import keras
import pytest

from lsp_keras.runs import FitConfig
from lsp_keras.types import DatasetInfo

# Where a run builds its network.
_build = import_module("lsp_keras.runs.build")


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings of a run on 48 digits, for one epoch."""
    return {
        "num_train": 48,
        "num_test": 16,
        "validation_size": 16,
        "batch_size": 16,
        "epochs": 1,
        "attack_steps": 1,
        "num_neighbors": 2,
        "features": "pixels",
    }


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """One convolution in place of a ResNet, which takes seconds to trace."""

    def build(config: FitConfig, info: DatasetInfo) -> keras.Model:
        keras.utils.set_random_seed(config.seed)
        return keras.Sequential(
            [
                keras.Input(info.image_shape),
                keras.layers.Conv2D(4, 3, 2),
                keras.layers.BatchNormalization(),
                keras.layers.Activation(config.model["activation"]),
                keras.layers.GlobalAveragePooling2D(name="features"),
                keras.layers.Dense(info.num_classes, name="logits"),
            ]
        )

    monkeypatch.setattr(_build, "build_classifier", build)
