"""A network trained elsewhere, brought here: attacked, made more robust, exported and served.

It knows nothing of this package: plain Keras, pixels from 0 to 255 without a layer that says so, a
softmax at its end, pictures of 64 by 48 pixels in folders.
"""

import json
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
from PIL import Image
from sklearn.datasets import load_digits

from lsp_keras.serving.client import Client, ClientError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
# In the order of the folders' names.
NAMES, DIGITS = ("four", "one", "zero"), (4, 1, 0)
EPSILON = "16/255"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with `photos` and `net.keras`."""
    folder = tmp_path_factory.mktemp("newcomer")
    for split, images, labels in pictures():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            file = folder / "photos" / split / NAMES[label] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
    train_elsewhere(*pictures()[0][1:]).save(folder / "net.keras")
    return folder


def pictures() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Digits of three kinds as photographs of 64 by 48 pixels, each in a tint of its own."""
    digits = load_digits(n_class=5)
    rows = np.flatnonzero(np.isin(digits.target, DIGITS))
    labels = np.array([DIGITS.index(digit) for digit in digits.target[rows]])
    tints = np.random.default_rng(0).uniform(0.7, 1.0, (len(rows), 1, 1, 3))
    large = digits.images[rows].repeat(8, axis=1).repeat(6, axis=2)[..., np.newaxis]
    images = np.rint(large * 255 / 16 * tints).astype(np.uint8)
    return [("train", images[:400], labels[:400]), ("test", images[400:], labels[400:])]


def train_elsewhere(images: np.ndarray, labels: np.ndarray) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((64, 48, 3)),
            layers.Conv2D(8, 8, strides=4),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(len(NAMES), activation="softmax"),
        ]
    )
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(images.astype("float32"), labels, epochs=8, batch_size=32, verbose=0)
    return network


@pytest.fixture(scope="module")
def cli(place: Path):
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lsp_keras", *arguments]
        return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=900)

    return run


def attack(cli, target: str, *options: str) -> dict:
    found = cli(
        *("attack", target, "--dataset", "folder:photos", "--attacks", "fgsm,pgd"),
        *("--epsilon", EPSILON, "--num-steps", "5", "--json", *options),
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def robust(place: Path, cli) -> tuple[Path, str]:
    """The run that starts from the network, and what it said."""
    done = cli(
        *("fit", "--from", "net.keras", "--pixel-range", "0,255", "--dataset", "folder:photos"),
        *("--method", "at", "--no-lsp", "--epsilon", EPSILON, "--num-steps", "3"),
        *("--warmup-epochs", "1", "--learning-rate", "0.02", "--batch-size", "32"),
        *("--epochs", "4", "--name", "robust"),
    )
    assert done.returncode == 0, done.stderr
    return place / "runs/robust", done.stdout + done.stderr


def test_the_range_of_its_pixels_is_asked_for(cli) -> None:
    asked = cli("attack", "net.keras", "--dataset", "folder:photos", "--attacks", "fgsm")
    assert asked.returncode == 2
    assert "--pixel-range=0,255" in asked.stderr


def test_it_is_attacked_at_its_own_accuracy_and_fine_tuning_makes_it_more_robust(
    place: Path, cli, robust
) -> None:
    _, images, labels = pictures()[1]
    own = keras.saving.load_model(place / "net.keras").predict(images.astype(float), verbose=0)
    right = np.mean(own.argmax(axis=1) == labels)
    before = attack(cli, "net.keras", "--pixel-range", "0,255")
    assert before["clean_accuracy"]["value"] == pytest.approx(right)
    assert right > 0.9
    run, said = robust
    assert "BatchNorm, in 1 layer, follows the training images" in said
    assert re.search(r"starts right on (9\d\.\d|100\.0)% of 128 training images", said)
    after = attack(cli, str(run))
    gained = after["worst_case_accuracy"]["value"] - before["worst_case_accuracy"]["value"]
    assert gained > 0.1
    assert after["clean_accuracy"]["value"] > 0.8


@pytest.fixture(scope="module")
def url(place: Path, cli, robust) -> Iterator[str]:
    """A server of the network as it came and of the robust one."""
    exported = [
        cli(
            *("export", "net.keras", "--pixel-range", "0,255", "--to", "models/net"),
            *("--dataset", "folder:photos"),
        ),
        cli("export", "runs/robust", "--to", "models/robust"),
    ]
    for done in exported:
        assert done.returncode == 0, done.stderr
    (place / "models.config").write_text(
        "model_config_list {"
        + "".join(
            f' config {{ name: "{name}" base_path: "{place}/models/{name}" '
            'model_platform: "tensorflow" }'
            for name in ("net", "robust")
        )
        + "}"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "lsp_keras", "serve", "--embedded", "--port=0"]
    process = subprocess.Popen(
        [*command, f"--rest_api_port={port}", "--model_config_file=models.config"],
        cwd=place,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def test_served_probabilities_are_the_models_own(place: Path, robust, url: str) -> None:
    net = keras.saving.load_model(place / "net.keras")
    made = keras.saving.load_model(robust[0] / "model.keras")
    files = sorted((place / "photos/test").rglob("*.png"))[::15]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files]).astype(np.float32)
    logits = made.predict(pixels / np.float32(255), verbose=0)
    expected = {
        "net": net.predict(pixels, verbose=0),
        "robust": np.asarray(keras.ops.softmax(logits)),
    }
    for model, probabilities in expected.items():
        found = predictions(f"{url}/v1/models/{model}", files)
        np.testing.assert_allclose(
            [item.probabilities for item in found], probabilities, rtol=1e-4, atol=1e-5
        )
        assert [item.name for item in found] == [NAMES[row.argmax()] for row in probabilities]


def predictions(url: str, files: list[Path]) -> list:
    for _ in range(200):
        try:
            with Client(url) as client:
                return client.predict_images(files)
        except ClientError as error:
            if error.code not in ("UNREACHABLE", "UNAVAILABLE"):
                raise
            time.sleep(1)
    pytest.fail(f"{url} does not answer")
