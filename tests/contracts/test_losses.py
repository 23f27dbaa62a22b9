"""Every registered loss: one value per example, pure, and finite where training may get to."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lsp_keras import registry

BATCH, NEIGHBORS, CLASSES, NEGATIVES = 6, 3, 4, 5

# Shapes by the names that all losses give their arguments; a loss with a new one adds it here.
SHAPES: dict[str, tuple[int, ...]] = {
    "logits": (BATCH, CLASSES),
    "clean_logits": (BATCH, CLASSES),
    "adversarial_logits": (BATCH, CLASSES),
    "stretched_logits": (BATCH, CLASSES),
    "anchor_logits": (BATCH, CLASSES),
    "neighbor_logits": (BATCH, NEIGHBORS, CLASSES),
    "queries": (BATCH, CLASSES),
    "keys": (BATCH, CLASSES),
    "negatives": (NEGATIVES, CLASSES),
    "view_logits": (BATCH, 3, CLASSES),
    "clean_features": (BATCH, 5),
    "adversarial_features": (BATCH, 5),
    "gradients": (BATCH, 2, 2, 3),
    "ahead_logits": (BATCH, CLASSES),
    "behind_logits": (BATCH, CLASSES),
}
FIXED: dict[str, Any] = {
    "labels": np.arange(BATCH) % CLASSES,
    "helper_labels": np.arange(1, BATCH + 1) % CLASSES,
    "feature_distances": np.random.default_rng(0).uniform(0.1, 1.0, size=(BATCH, NEIGHBORS)),
    "temperature": 0.1,
    "distance": 0.1,
}


def arguments(loss: Callable[..., Any], scale: float = 1.0) -> dict[str, Any]:
    """What the loss requires; what a network puts out has the given scale."""
    rng = np.random.default_rng(1)
    parameters = inspect.signature(loss).parameters.values()
    required = [item.name for item in parameters if item.default is inspect.Parameter.empty]
    outputs = {
        name: scale * rng.normal(size=SHAPES[name]).astype(np.float32)
        for name in required
        if name in SHAPES
    }
    return outputs | {name: FIXED[name] for name in required if name not in SHAPES}


@pytest.fixture(params=registry.names("loss"))
def loss(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return registry.get("loss", request.param)


def test_returns_one_float32_value_per_example(loss: Callable[..., Any]) -> None:
    values = loss(**arguments(loss))
    assert values.shape == (BATCH,)
    assert values.dtype == tf.float32
    # MART's margin has 1.0001 in place of 1.
    assert np.all(values.numpy() > -1e-4)


def test_values_move_with_their_examples(loss: Callable[..., Any]) -> None:
    order = np.random.default_rng(2).permutation(BATCH)
    batch = arguments(loss)
    shuffled = {
        name: value[order] if np.shape(value)[:1] == (BATCH,) else value
        for name, value in batch.items()
    }
    expected = loss(**batch).numpy()[order]
    np.testing.assert_allclose(loss(**shuffled), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e4])
def test_values_and_gradients_are_finite_at_extreme_outputs(
    loss: Callable[..., Any], scale: float
) -> None:
    batch = arguments(loss, scale)
    outputs = {name: tf.constant(value) for name, value in batch.items() if name in SHAPES}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        values = loss(**(batch | outputs))
    assert np.isfinite(values).all()
    # Zero where a loss holds an output fixed.
    gradients = tape.gradient(values, list(outputs.values()), unconnected_gradients="zero")
    for gradient in gradients:
        assert np.isfinite(gradient).all()
