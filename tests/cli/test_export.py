"""`lsp-keras export` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tomli_w

from lsp_keras.classifiers import load_classifier
from lsp_keras.evaluation.provenance import model_fingerprint


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A run as far as the export reads it."""
    folder = tmp_path_factory.mktemp("runs") / "toy"
    folder.mkdir()
    images = keras.Input((8, 8, 3))
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    model = keras.Model(images, logits)
    model.save(folder / "model.keras")
    dataset = {"name": "toy", "class_names": ["cat", "dog"], "image_shape": [8, 8, 3]}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    settings = {"method": "at", "epsilon": "8/255", "data_dir": "/private"}
    (folder / "config.toml").write_text(tomli_w.dumps(settings))
    (folder / "evaluations").mkdir()
    own = model_fingerprint(model)
    for name, fingerprint, share in [("toy", own, 0.25), ("toy", "0", 0.5), ("svhn", own, 0.75)]:
        record = {
            "model_fingerprint": fingerprint,
            "dataset": {"name": name},
            "worst_case_accuracy": {"value": share},
        }
        (folder / f"evaluations/{name}-{share}.json").write_text(json.dumps(record))
    (folder / "evaluations" / "notes.json").write_text("of somebody else")
    return folder


def test_a_run_becomes_a_version_with_the_datasets_class_names(
    run_cli, run_folder, tmp_path
) -> None:
    result = run_cli("export", run_folder, "--to", "models/toy", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"path": "models/toy/1", "version": 1}
    names = tmp_path / "models/toy/1/assets/class_names.txt"
    assert names.read_text() == "cat\ndog\n"
    card = json.loads((tmp_path / "models/toy/1/assets.extra/model_card.json").read_text())
    assert card["class_names"] == ["cat", "dog"]
    assert card["dataset"]["name"] == "toy"
    assert card["training"] == {"method": "at", "epsilon": "8/255"}
    # Attacks on another model and on other data are left out.
    (evaluation,) = card["evaluations"]
    assert evaluation["worst_case_accuracy"] == {"value": 0.25}


@pytest.mark.slow
def test_two_exports_at_once_get_versions_of_their_own(run_folder, tmp_path) -> None:
    words = ("export", str(run_folder), "--to", "models/toy", "--json")
    command = [sys.executable, "-m", "lsp_keras", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=tmp_path, **pipes) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(json.loads(output)["version"] for output, _ in outputs) == [1, 2]
    versions = [tmp_path / "models" / "toy" / name for name in ("1", "2")]
    files = [{str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in versions]
    assert files[0] == files[1]
    # Nothing else lies there, such as a temporary file of either.
    assert sorted((tmp_path / "models" / "toy").iterdir()) == versions
    images = np.random.default_rng(0).random((3, 8, 8, 3), dtype=np.float32)
    model = keras.saving.load_model(run_folder / "model.keras")
    for folder in versions:
        answers = load_classifier(folder).source(tf.constant(images))
        np.testing.assert_allclose(answers["logits"], model(images), rtol=1e-5, atol=1e-6)


def test_wrong_input_is_one_line_and_exit_code_2(run_cli, run_folder, tmp_path) -> None:
    missing = run_cli("export", "nowhere", "--to", "models/toy")
    assert missing.returncode == 2
    assert missing.stderr.startswith("Error: There is no run or model at nowhere.")
    lone = tmp_path / "lone.keras"
    lone.write_bytes((run_folder / "model.keras").read_bytes())
    nameless = run_cli("export", lone, "--to", "models/toy")
    assert nameless.returncode == 2
    assert "--class-names cat,dog" in nameless.stderr
    for to in (lone, "lone.keras"):
        onto_a_file = run_cli("export", run_folder, "--to", to)
        assert onto_a_file.returncode == 2
        assert "is a file. Give the folder of the served model, such as models/lone;" in (
            onto_a_file.stderr
        )
