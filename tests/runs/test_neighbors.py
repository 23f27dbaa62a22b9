"""What a run finds of neighbors: tables, features, orders, and what it says about them."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsp_keras.neighbors import features_path, save_features
from lsp_keras.pretraining import PUBLISHED_EPOCHS
from lsp_keras.runs import FitConfig, fit
from lsp_keras.runs.neighbors import with_known_encoder
from lsp_keras.validation import InputError

_run = import_module("lsp_keras.runs.fit")

BATCH = {"lsp_neighbors": "batch", "group_size": 4}


@pytest.fixture
def batches_seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments of every call that makes a run's batches."""
    seen: list[dict[str, Any]] = []
    make = _run.EpochBatches

    def noted(split: Any, **options: Any) -> Any:
        seen.append({"split": split, **options})
        return make(split, **options)

    monkeypatch.setattr(_run, "EpochBatches", noted)
    return seen


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize("target", ["shares", "ranks", "kernel"])
def test_neighbors_in_the_batch_need_features_and_no_neighbor_images(
    target: str, tiny: dict[str, Any], batches_seen: list[dict[str, Any]], tmp_path: Path
) -> None:
    config = FitConfig.of(**tiny, **BATCH, lsp_target=target)
    run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path)
    (seen,) = batches_seen
    assert seen["neighbors"] is None
    pixels = seen["split"].images.reshape(48, -1) / 255
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    # Shifted and scaled by a common factor: all distances keep their ratios.
    found, expected = (
        np.linalg.norm(rows[:, None] - rows[None], axis=2)
        for rows in (np.asarray(seen["features"], np.float64), pixels)
    )
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), atol=2e-3)
    assert run.history[0]["lsp"] > 0


@pytest.mark.usefixtures("small_network")
def test_fresh_neighbors_at_ranks_come_from_a_longer_table(
    tiny: dict[str, Any], batches_seen: list[dict[str, Any]], tmp_path: Path
) -> None:
    config = FitConfig.of(**{**tiny, "num_neighbors": 4}, lsp_target="ranks")
    fit(config, runs_dir=tmp_path, cache_dir=tmp_path)
    table, images = batches_seen[0]["neighbors"], batches_seen[0]["split"].images
    pixels = images.reshape(48, -1) / 255
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    gaps = np.linalg.norm(pixels[:, None] - pixels[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    expected = np.sort(gaps, axis=1)[:, [0, 1, 3, 7]]
    np.testing.assert_allclose(table.distances, expected, rtol=1e-4)


@pytest.mark.usefixtures("small_network")
@pytest.mark.slow
def test_a_grouped_run_resumes_bit_for_bit(
    tiny: dict[str, Any], tmp_path: Path, interrupted_before
) -> None:
    config = FitConfig.of(**{**tiny, "epochs": 3}, **BATCH)
    whole = fit(config, runs_dir=tmp_path, name="whole", cache_dir=tmp_path)
    with interrupted_before(1), pytest.raises(KeyboardInterrupt):
        fit(config, runs_dir=tmp_path, name="cut", cache_dir=tmp_path)
    resumed = fit(config, runs_dir=tmp_path, name="cut", resume=True, cache_dir=tmp_path)
    for row, other in zip(whole.history, resumed.history, strict=True):
        assert {**row, "images_per_second": 0} == {**other, "images_per_second": 0}


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize("adv", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_measuring_neighbors_in_the_batch_does_not_change_training(
    adv: bool, tiny: dict[str, Any], tmp_path: Path
) -> None:
    options = {**tiny, "adv": adv}
    plain = fit(FitConfig.of(**options, lsp=False), runs_dir=tmp_path)
    measured = fit(
        FitConfig.of(**options, lsp_neighbors="batch", lsp_weight=0.0, lfrc=True, lfrc_weight=0.0),
        runs_dir=tmp_path,
        cache_dir=tmp_path,
    )
    assert plain.history[0]["cross_entropy"] == measured.history[0]["cross_entropy"]
    assert plain.history[0]["val_accuracy"] == measured.history[0]["val_accuracy"]


@pytest.mark.usefixtures("small_network")
def test_says_contrast_and_price(tiny: dict[str, Any], tmp_path: Path) -> None:
    said: list[str] = []
    config = FitConfig.of(**tiny, **BATCH)
    run = fit(config, runs_dir=tmp_path, cache_dir=tmp_path, announce=said.append)
    price = next(text for text in said if text.startswith("Groups of 4: "))
    contrast = said[said.index(price) + 1]
    assert "of an image's 2 neighbors are in its batch" in price
    assert "times as far." in price
    assert contrast.startswith("Contrast: P is ")
    # In the end beside the loss that was measured.
    assert said[-1].startswith(contrast.partition(", where")[0])
    assert f"the loss is about {run.history[-1]['lsp']:.2f}" in said[-1]


@pytest.mark.usefixtures("small_network")
def test_groups_serve_a_run_without_lsp(
    tiny: dict[str, Any], batches_seen: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = fit(
        FitConfig.of(**tiny, lsp=False, group_size=4),
        runs_dir=tmp_path,
        cache_dir=tmp_path / "cache",
    )
    order = batches_seen[0]["order"](0)
    np.testing.assert_array_equal(np.sort(order), np.arange(48))
    assert batches_seen[0]["features"] is None
    assert json.loads((run.path / "dataset.json").read_text())["neighbors"]["num_images"] == 48


@pytest.mark.usefixtures("small_network")
def test_the_users_table_brings_its_features(
    tiny: dict[str, Any], batches_seen: list[dict[str, Any]], tmp_path: Path
) -> None:
    fit(FitConfig.of(**tiny), runs_dir=tmp_path, cache_dir=tmp_path / "cache")
    (table,) = (tmp_path / "cache" / "neighbors").glob("*.npz")
    config = FitConfig.of(**tiny, lsp_neighbors="batch", neighbors=str(table))
    with pytest.raises(InputError, match="no stored features"):
        fit(config, runs_dir=tmp_path, name="without")
    features = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32)
    save_features(features_path(table), features)
    fit(config, runs_dir=tmp_path, name="with")
    np.testing.assert_allclose(batches_seen[-1]["features"], features, atol=1e-2)


@pytest.mark.usefixtures("small_network")
def test_random_tables_are_for_fresh_neighbors(tiny: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`lsp_control='random'`"):
        fit(FitConfig.of(**tiny, lsp_neighbors="batch", space="global"), runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("asked", "noted", "expected"),
    [
        (None, {"neighbors": {"encoder_epochs": 45}}, 45),
        (None, {"neighbors": {"source": {}}}, PUBLISHED_EPOCHS),
        (None, {"neighbors": None}, PUBLISHED_EPOCHS),
        (7, {"neighbors": {"encoder_epochs": 45}}, 7),
        (None, None, None),
    ],
)
def test_a_run_that_goes_on_keeps_the_length_of_its_encoder(
    tmp_path: Path, asked: int | None, noted: dict[str, Any] | None, expected: int | None
) -> None:
    record = tmp_path / "dataset.json"
    if noted is not None:
        record.write_text(json.dumps(noted))
    config = FitConfig.of(dataset="digits", encoder_epochs=asked)
    assert with_known_encoder(config, record).encoder_epochs == expected
