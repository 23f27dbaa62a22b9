"""`lsp-keras mine`."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from lsp_keras import datasets
from lsp_keras.cli.mine import command
from lsp_keras.neighbors import load_table
from lsp_keras.validation import InputError


def invoke(tmp_path: Path, *arguments: str) -> Result:
    options = ["--num-train", "300", "--cache-dir", str(tmp_path / "cache"), *arguments]
    return CliRunner().invoke(command, options, catch_exceptions=False)


def test_table_record_and_sheet_are_written(tmp_path: Path) -> None:
    output, sheet = tmp_path / "table.npz", tmp_path / "sheet.png"
    result = invoke(
        tmp_path, "--num-neighbors", "5", "--output", str(output), "--sheet", str(sheet)
    )
    assert "300 of digits, train" in result.stdout
    assert "against scikit-learn brute force" in result.stdout
    table = load_table(output, images=datasets.load("digits", num_train=300).train.images)
    assert table.indices.shape == (300, 5)
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["provenance"] == json.loads(json.dumps(dict(table.provenance)))
    # Digits look like digits of their kind; a tenth would be chance.
    assert record["diagnosis"]["label_purity"] > 0.8
    assert Image.open(sheet).format == "PNG"


def test_record_is_printed_and_kept_beside_the_cached_table(tmp_path: Path) -> None:
    printed = json.loads(invoke(tmp_path, "--json").stdout)
    (table,) = (tmp_path / "cache" / "neighbors").glob("*.npz")
    assert json.loads(table.with_suffix(".json").read_text()) == printed
    assert printed["provenance"]["recall"]["value"] == 1.0
    assert printed["diagnosis"]["mutual_share"] > 0.2


def test_random_neighbors_are_as_pure_as_chance(tmp_path: Path) -> None:
    figures = json.loads(invoke(tmp_path, "--space", "global", "--json").stdout)["diagnosis"]
    # 2,400 draws with a share of about 0.1 each.
    assert figures["label_purity"] == pytest.approx(figures["chance_purity"], abs=0.03)


def test_encoder_and_embeddings_give_the_same_neighbors(tmp_path: Path) -> None:
    images = keras.Input((16, 16, 3))
    encoder = keras.Model(images, keras.layers.AveragePooling2D(4)(images))
    encoder = keras.Model(images, keras.layers.Flatten()(encoder.output))
    encoder.save(tmp_path / "encoder.keras")
    train = datasets.load("digits", num_train=300).train
    np.save(tmp_path / "rows.npy", encoder.predict(train.images / np.float32(255), verbose=0))
    tables = []
    for option, name in (("--encoder", "encoder.keras"), ("--embeddings", "rows.npy")):
        output = tmp_path / f"{name}.npz"
        invoke(tmp_path, option, str(tmp_path / name), "--output", str(output))
        tables.append(load_table(output))
    assert tables[0].provenance["source"]["features"] == "encoder.keras"
    assert (tables[0].indices == tables[1].indices).mean() > 0.99
    np.testing.assert_allclose(tables[0].distances, tables[1].distances, atol=1e-5)


def test_two_feature_spaces_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Choose one of --features, --encoder and --embeddings"):
        invoke(tmp_path, "--features", "pixels", "--encoder", "encoder.keras")


def test_a_header_comes_first_and_quiet_leaves_only_the_result(tmp_path: Path) -> None:
    told, quiet = (invoke(tmp_path, "--json", *more) for more in ((), ("--quiet",)))
    header = told.stderr.splitlines()
    assert header[0] == "Data: digits, 10 classes, 16x16x3."
    assert "300 to train on" in header[1]
    assert any(line.startswith("Device: ") for line in header)
    assert any(line.startswith("search: 100%") for line in header)
    assert quiet.stderr == ""
    assert quiet.stdout == told.stdout


def test_says_how_far_the_targets_are_from_equal_shares(tmp_path: Path) -> None:
    figures = json.loads(invoke(tmp_path, "--json").stdout)["diagnosis"]["contrast"]
    (table,) = (tmp_path / "cache" / "neighbors").glob("*.npz")
    distances = load_table(table).distances.astype(np.float64)
    shares = distances / distances.sum(axis=1, keepdims=True)
    expected = np.linalg.norm(shares - 1 / 8, axis=1).mean()
    assert figures["of_targets"] == pytest.approx(expected, rel=1e-4)
    assert f"P is {expected:.3f} away from equal shares" in invoke(tmp_path).stdout


def test_features_are_kept_beside_the_table_that_is_asked_for(tmp_path: Path) -> None:
    output = tmp_path / "table.npz"
    invoke(tmp_path, "--output", str(output), "--keep-features")
    rows = datasets.load("digits", num_train=300).train.images.reshape(300, -1) / 255
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kept = np.load(tmp_path / "table.features.npy")
    assert kept.dtype == np.float16
    # Centered and scaled: what is kept are the ratios of distances.
    found, expected = (
        np.linalg.norm(values[1:] - values[0], axis=1) for values in (kept.astype(float), rows)
    )
    np.testing.assert_allclose(found / found.mean(), expected / expected.mean(), atol=1e-3)
