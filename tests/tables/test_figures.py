"""What the figures measure, on networks whose distances are known."""

from pathlib import Path

import keras
import numpy as np
import pytest

from lsp_keras.plots.paper import draw_distances, draw_losses
from lsp_keras.runs import FitConfig
from lsp_keras.runs.files.history import History
from lsp_keras.runs.settings.config import write_config
from lsp_keras.tables.figures import Distances, distance_rows, distances, loss_rows
from lsp_keras.tables.paper import Request
from lsp_keras.tables.scales import SCALES, Sizes
from lsp_keras.validation import InputError


def make_run(folder: Path, lsp: bool) -> Path:
    """A network whose logits are pixels, so that both spaces have the same distances."""
    images = keras.Input((16, 16, 3))
    logits = keras.layers.Dense(768, use_bias=False)(keras.layers.Flatten()(images))
    model = keras.Model(images, logits)
    model.layers[-1].set_weights([np.eye(768)])
    folder.mkdir()
    model.save(folder / "model.keras")
    settings = {"features": "pixels", "num_neighbors": 4, "normalize_features": False}
    config = FitConfig.of(num_train=64, lsp=lsp, **(settings if lsp else {}))
    write_config(folder / "config.toml", config)
    return folder


def test_a_network_that_keeps_distances_lies_on_the_diagonal(tmp_path: Path) -> None:
    run = make_run(tmp_path / "lsp", lsp=True)
    found = distances(run, run, num_images=6)
    assert found.features.shape == found.logits.shape == (6, 4)
    np.testing.assert_allclose(found.features, found.logits, rtol=1e-4)
    np.testing.assert_allclose(found.features.mean(axis=1), 1.0, rtol=1e-5)
    assert found.correlation == pytest.approx(1.0)
    with pytest.raises(InputError, match="was not trained with LSP"):
        distances(run, make_run(tmp_path / "plain", lsp=False), num_images=6)


def test_rank_correlation_is_the_images_mean() -> None:
    features = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], np.float32)
    logits = np.array([[5.0, 6.0, 9.0], [3.0, 2.0, 1.0]], np.float32)
    found = Distances(features, logits, np.array([0.5], np.float32), "pixels")
    assert found.correlation == pytest.approx(0.0)


def test_rows_are_trained_without_the_loss_that_they_show() -> None:
    request = Request(1, "cifar10", SCALES["tiny"], Sizes(50_000, 10_000))
    for row in loss_rows(request):
        assert row.config.regularizers["lsp"]["weight"] == 0.0
        assert row.config.method.name == row.name
    before, after = distance_rows(request)
    assert "lsp" not in before.config.regularizers
    assert after.config.regularizers["lsp"]["weight"] == 1.0


def test_pictures_are_drawn(tmp_path: Path) -> None:
    columns = {"epoch": [1.0, 2.0], "cross_entropy": [2.0, 1.0], "lsp": [0.1, 0.2]}
    draw_losses(tmp_path / "3.png", {"standard": History(tmp_path, columns, {})}, "digits")
    pairs = np.array([[0.5, 1.5]], np.float32)
    found = {"before": Distances(pairs, pairs, np.zeros(0, np.float32), "pixels")}
    draw_distances(tmp_path / "2d.png", found, "digits")
    for name in ("3.png", "2d.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
