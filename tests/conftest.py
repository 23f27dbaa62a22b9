"""What every test shares: quiet TensorFlow, few threads, no user folders."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples everywhere and no clock, so that a busy machine and another one see what this
# one saw; `--hypothesis-profile explore` looks for new ones.
settings.register_profile(
    "repeated",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("repeated"), max_examples=1000, derandomize=False
)
settings.load_profile("repeated")


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches go to the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _not_deterministic() -> Iterator[None]:
    """What a run in this process switched on for good would keep later tests from compiling."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


@pytest.fixture
def run_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Runs `lsp-keras` in this process, in the test's own folder; returns what it left.

    Another process would import TensorFlow again, which takes longer than most commands.
    """
    import subprocess

    from lsp_keras.cli.main import main

    def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        capfd.readouterr()
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", ["lsp-keras", *map(str, arguments)])
            for name, value in environment.items():
                patch.setenv(name, value)
            main()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(sys.argv, ended.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def run_process(tmp_path: Path):
    """Runs `lsp-keras` as a user would, in a subprocess; returns the completed process."""
    import subprocess

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lsp_keras", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=250)

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


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """One convolution in place of a ResNet, which takes seconds to trace, in every run."""
    from importlib import import_module

    import keras

    def build(config: Any, info: Any) -> keras.Model:
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

    monkeypatch.setattr(import_module("lsp_keras.runs.build"), "build_classifier", build)


@pytest.fixture
def interrupted_before(monkeypatch: pytest.MonkeyPatch):
    """Context in which a run of this process is interrupted when it asks for an epoch's batches."""
    import contextlib

    from lsp_keras.datasets import EpochBatches

    make = EpochBatches.__call__

    @contextlib.contextmanager
    def context(last: int) -> Iterator[None]:
        def interrupted(batches: EpochBatches, epoch: int) -> Any:
            if epoch == last:
                raise KeyboardInterrupt
            return make(batches, epoch)

        with monkeypatch.context() as patch:
            patch.setattr(EpochBatches, "__call__", interrupted)
            yield

    return context


@pytest.fixture
def fake_store(tmp_path, monkeypatch):
    """Folder behind `fake://`, a store that writes files and cannot rename."""
    from etils import epath

    root = tmp_path / "store"
    root.mkdir()
    written = []

    class FakePath(type(Path())):  # type: ignore[misc]
        def __new__(cls, first, *rest):
            return super().__new__(cls, str(first).replace("fake://", f"{root}/"), *rest)

        def write_bytes(self, data):
            written.append(self.name)
            return super().write_bytes(data)

        def rename(self, target):
            raise NotImplementedError("A store cannot rename.")

        replace = rename

    monkeypatch.setitem(epath.register._URI_PREFIXES_TO_CLS, "fake://", FakePath)
    return root, written


TOY_SHAPE = (8, 8, 3)


@pytest.fixture
def build_classifier() -> Callable[[], Any]:
    """Makes equal classifiers: one convolution, BatchNorm, three classes."""
    import keras

    def build() -> Any:
        convolution = keras.initializers.HeNormal(seed=1)
        dense = keras.initializers.GlorotUniform(seed=2)
        return keras.Sequential(
            [
                keras.Input(TOY_SHAPE),
                keras.layers.Conv2D(4, 3, 2, use_bias=False, kernel_initializer=convolution),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.Activation("relu"),
                keras.layers.GlobalAveragePooling2D(name="features"),
                keras.layers.Dense(3, kernel_initializer=dense, dtype="float32", name="logits"),
            ]
        )

    return build


@pytest.fixture(scope="session")
def toy() -> dict[str, Any]:
    """Forty images, brighter in the channel of their class, with three neighbors each."""
    import numpy as np

    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3
    images = rng.uniform(0.0, 0.5, size=(40, *TOY_SHAPE)).astype(np.float32)
    images[np.arange(40), :, :, labels] += 0.3
    neighbors = (np.arange(40)[:, None] + np.asarray([3, 6, 1])) % 40
    return {
        "images": images,
        "labels": labels,
        "indices": np.arange(40),
        "neighbor_images": images[neighbors],
        "neighbor_distances": rng.uniform(0.5, 1.5, size=(40, 3)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def make_batches(toy: dict[str, Any]) -> Callable[[int], Any]:
    """Batches of 16, 16 and 8 images in an order fixed by the epoch."""
    import numpy as np
    import tensorflow as tf

    def make(epoch: int = 0) -> Any:
        order = np.random.default_rng(epoch).permutation(40)
        return tf.data.Dataset.from_tensor_slices({k: v[order] for k, v in toy.items()}).batch(16)

    return make


CONTRAST_SHAPE = (4, 4, 1)


@pytest.fixture(scope="session")
def contrast_model() -> Any:
    """Two logits: the mean of the upper half less that of the lower half, and its negative."""
    import keras
    import numpy as np

    model = keras.Sequential(
        [keras.Input(CONTRAST_SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    kernel = np.repeat([1.0, -1.0], 8)[:, np.newaxis] / 8.0
    model.layers[-1].set_weights([np.hstack([kernel, -kernel]), np.zeros(2)])
    return model


@pytest.fixture(scope="session")
def contrast_examples() -> Any:
    """Ten images with contrasts 0.01 to 0.10; the last has the wrong label.

    An L-inf attack of radius epsilon changes the contrast by 2 epsilon, so with epsilon 0.0275
    images with contrast up to 0.05 are broken and those from 0.06 stand.
    """
    import numpy as np

    contrasts = np.arange(1, 11) / 100.0
    images = np.full((10, *CONTRAST_SHAPE), 0.5, np.float32)
    images[:, :2] += contrasts[:, None, None, None] / 2
    images[:, 2:] -= contrasts[:, None, None, None] / 2
    labels = np.zeros(10, int)
    labels[-1] = 1
    return images, labels
