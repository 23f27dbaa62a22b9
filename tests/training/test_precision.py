"""Models that trained in half precision are measured and kept in float32."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.inference.precision import in_float32
from lsp_keras.methods import FastATTrainer, StepOptions
from lsp_keras.models import resnet18
from lsp_keras.training import BestAndLast, BestAverage, CoupledSGD, RobustValidation, run_training
from lsp_keras.types import Examples

SHAPE = (16, 16, 3)


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("policy")
def test_the_copy_computes_in_float32_with_the_same_weights() -> None:
    images = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
    mixed = resnet18(3, input_shape=SHAPE, width=2)
    keras.config.set_dtype_policy("float32")
    plain = resnet18(3, input_shape=SHAPE, width=2)
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        weights = [
            np.abs(item + 0.1 * rng.normal(size=item.shape)).astype(np.float32)
            for item in plain.get_weights()
        ]
        plain.set_weights(weights)
        mixed.set_weights(weights)
        copy = in_float32(mixed)
        np.testing.assert_array_equal(copy(images, training=False), plain(images, training=False))
        assert np.abs(mixed(images, training=False) - plain(images, training=False)).max() > 1e-4
    assert in_float32(mixed) is copy
    assert in_float32(plain) is plain


# Float16, in which the loss is scaled too, takes a processor four times as long.
@pytest.mark.parametrize(
    "policy",
    ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)],
    indirect=True,
)
@pytest.mark.usefixtures("policy")
def test_a_run_is_measured_and_kept_in_float32(
    build_classifier: Callable[[], keras.Model],
    toy: dict[str, np.ndarray],
    make_batches: Callable[[int], tf.data.Dataset],
    tmp_path: Path,
) -> None:
    trainer = FastATTrainer(build_classifier(), epsilon=0.1)
    trainer.configure(StepOptions(ema_decay=0.5))
    trainer.compile(CoupledSGD(0.1), metrics=["accuracy"])
    images = np.round(toy["images"] * 255).astype(np.uint8)
    validation = RobustValidation(
        Examples(images, toy["labels"], toy["indices"]), PGD(epsilon=0.1, num_steps=2)
    )
    (row,) = run_training(
        trainer,
        make_batches,
        epochs=1,
        callbacks=[
            validation,
            BestAndLast(tmp_path / "best.keras", tmp_path / "last.keras"),
            BestAverage(tmp_path / "ema.keras"),
        ],
        deterministic=False,
    )
    assert mixed_layers(trainer.classifier)
    for file, prefix in (("best", "val"), ("ema", "val_ema")):
        loaded: Any = keras.saving.load_model(tmp_path / f"{file}.keras", safe_mode=True)
        assert not mixed_layers(loaded)
        found = validation.measure(loaded)
        assert found == (row[f"{prefix}_accuracy"], row[f"{prefix}_robust_accuracy"])


def mixed_layers(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if "mixed" in layer.dtype_policy.name]
