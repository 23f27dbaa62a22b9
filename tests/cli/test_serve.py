"""`lsp-keras serve` and `lsp-keras predict` as a user runs them."""

import contextlib
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import requests
from click.testing import CliRunner
from PIL import Image

from lsp_keras.cli.main import group
from lsp_keras.export import export_model
from lsp_keras.serving.errors import ServingError
from lsp_keras.serving.server import Server


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A classifier that says `bright` where the mean of the pixels is over one half."""
    base = tmp_path_factory.mktemp("models") / "light"
    images = keras.Input((8, 8, 3))
    mean = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(images))
    dense = keras.layers.Dense(2)
    model = keras.Model(images, dense(mean))
    dense.set_weights([np.array([[-1.0, 1.0]] * 3), np.array([1.5, -1.5])])
    export_model(model, base, class_names=["dark", "bright"])
    return base


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lsp_keras", "serve", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def wait_for(url: str) -> None:
    for _ in range(300):
        with contextlib.suppress(requests.ConnectionError):
            assert requests.get(url, timeout=5).status_code == 200
            return
        time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


@pytest.fixture(scope="module")
def url(model_folder) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start(model_folder, f"--rest_api_port={port}", "--port=0", "--embedded")
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"http://\S+", line):
            break
    else:
        pytest.fail("".join(lines))
    wait_for(f"http://127.0.0.1:{port}/readyz")
    yield found[0]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_predict_prints_classes_and_probabilities(run_cli, url: str, tmp_path) -> None:
    files = []
    for name, level in [("night.png", 0), ("day.jpg", 255)]:
        files.append(tmp_path / name)
        Image.fromarray(np.full((20, 30, 3), level, np.uint8)).save(files[-1])
    result = run_cli("predict", "--url", url, *files)
    assert (result.returncode, result.stderr) == (0, "")
    night, day = json.loads(result.stdout)
    assert (night["image"], night["class"], night["label"]) == (str(files[0]), "dark", 0)
    assert (day["class"], day["label"]) == ("bright", 1)
    # The logits differ by 3: softmax gives 1 / (1 + exp(-3)).
    assert day["probability"] == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert day["probabilities"] == pytest.approx([1 - day["probability"], day["probability"]])


def test_predict_says_what_is_wrong(run_cli, url: str, tmp_path) -> None:
    missing = run_cli("predict", "--url", url, "nowhere.png")
    assert missing.returncode == 2
    assert "Cannot read the image nowhere.png" in missing.stderr
    (tmp_path / "text.png").write_text("no image")
    broken = run_cli("predict", "--url", url, "text.png")
    assert broken.returncode == 1
    assert "no image of a format that can be served" in broken.stderr
    silent = run_cli("predict", "--url", "http://127.0.0.1:9/v1/models/m", "text.png")
    assert silent.returncode == 1
    assert "does not answer" in silent.stderr


def test_images_of_all_three_forms_are_served(url: str) -> None:
    for signature, pixel in [("serving_default", 1.0), ("serving_uint8", 255)]:
        body = {"signature_name": signature, "instances": np.full((1, 8, 8, 3), pixel).tolist()}
        if signature == "serving_uint8":
            body["instances"] = np.full((1, 8, 8, 3), pixel).astype(int).tolist()
        answer = requests.post(f"{url}:predict", json=body, timeout=30).json()
        (row,) = answer["predictions"]
        assert (row["class_names"], row["classes"], row["logits"]) == ("bright", 1, [-1.5, 1.5])
    bad = {"instances": np.full((1, 8, 8, 3), 255.0).tolist()}
    answer = requests.post(f"{url}:predict", json=bad, timeout=30)
    assert answer.status_code == 400
    assert "`images` must hold finite pixel values in [0, 1]" in answer.json()["error"]


def test_a_folder_without_versions_is_refused(run_cli, model_folder, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in [
        ("nowhere", "There is no folder"),
        ("empty", "has no version folder"),
        (model_folder / "1", "is one version"),
    ]:
        result = run_cli("serve", folder)
        assert result.returncode == 2
        assert message in result.stderr


def test_what_no_server_starts_with_is_refused_at_once(run_cli, tmp_path) -> None:
    # A folder that would not load: nothing is loaded before the options are looked at.
    (tmp_path / "m/1").mkdir(parents=True)
    config = tmp_path / "monitoring.config"
    config.write_text('prometheus_config { enable: true path: "metrics" }')
    for flags, message in [
        (["--monitoring_config_file", config], "must begin with /"),
        (["--max_grpc_bytes", "4294967296"], "`max_grpc_bytes` must be -1 or from 1 to 2147483647"),
        (["--rest_api_port", "70000"], "`rest_port` must be from 0 to 65535"),
    ]:
        result = run_cli("serve", tmp_path / "m", "--embedded", *flags)
        assert result.returncode == 2
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_a_model_of_keras_is_no_folder_to_serve_and_what_to_do_is_said(run_cli, tmp_path) -> None:
    (tmp_path / "runs/pets").mkdir(parents=True)
    for name in ("net.keras", "net.h5", "notes.txt", "runs/pets/model.keras"):
        (tmp_path / name).touch()
    for given, to in [
        ("net.keras", "models/net"),
        ("net.h5", "models/net"),
        ("runs/pets", "models/pets"),
        ("zoo:cifar10_robust", "models/cifar10_robust"),
    ]:
        for arguments in ([given], [f"--model_base_path={given}", "--embedded"]):
            result = run_cli("serve", *arguments)
            assert result.returncode == 2
            assert result.stderr == (
                f"Error: {given} is a Keras model, and a server loads SavedModels. Write one and "
                f"serve its folder: lsp-keras export {given} --to {to}, then lsp-keras serve "
                f"{to}.\n"
            )
    assert "notes.txt is a file. Give the folder" in run_cli("serve", "notes.txt").stderr


def test_full_collections_do_not_look_through_what_is_imported(monkeypatch, model_folder) -> None:
    frozen = []

    class StoppedServer(Server):
        def load(self) -> None:
            frozen.append(gc.get_freeze_count())
            raise ServingError("stopped")

    monkeypatch.setattr("lsp_keras.serving.server.Server", StoppedServer)
    try:
        CliRunner().invoke(group, ["serve", str(model_folder), "--embedded"])
    finally:
        gc.unfreeze()
    assert frozen[0] > 100_000


def test_tensorflow_model_server_is_used_where_it_is_on_path(model_folder, tmp_path) -> None:
    fake = tmp_path / "tensorflow_model_server"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    process = start(
        model_folder, "--model_name=lamp", "--rest_api_port=8600", "--enable_batching", PATH=path
    )
    output, messages = process.communicate(timeout=60)
    assert f"Using {fake}." in messages
    assert output.split() == [
        "--rest_api_port=8600",
        "--model_name=lamp",
        f"--model_base_path={model_folder}",
        "--enable_batching=true",
    ]
