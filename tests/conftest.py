"""What every test shares: quiet TensorFlow, few threads, no user folders."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches go to the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run_cli(tmp_path: Path):
    """Runs `lsp-keras` as a user would, in a subprocess; returns the completed process."""
    import subprocess
    import sys

    def run(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lsp_keras", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=250, **options
        )

    return run


@pytest.fixture
def biased_residual_model():
    """Sums after biased convolutions, which oneDNN would fuse; 12x12 images to 2304 numbers."""
    import keras

    images = keras.Input((12, 12, 3))
    values = keras.layers.Conv2D(16, 3, padding="same")(images)
    for _ in range(4):
        convolved = keras.layers.Conv2D(16, 3, padding="same")(values)
        values = keras.layers.ReLU()(keras.layers.Add()([convolved, values]))
    return keras.Model(images, keras.layers.Flatten()(values))
