"""The cache mines once, and again as soon as anything it depends on differs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsp_keras.neighbors import FeatureSource, MiningSettings, find_or_mine, table_path
from lsp_keras.validation import InputError

SETTINGS = MiningSettings(index="sklearn")


class Encoder:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        return images.reshape(len(images), -1)[:, :5]


def test_second_call_reads_what_the_first_one_wrote(tmp_path: Path, pictures: np.ndarray) -> None:
    encoder = Encoder()
    features = FeatureSource("encoder.keras", "a1", encode=encoder)
    first, second = (
        find_or_mine(pictures, SETTINGS, features, cache_dir=tmp_path, source={"split": "train"})
        for _ in range(2)
    )
    assert encoder.calls == 1
    np.testing.assert_array_equal(first.indices, second.indices)
    assert second.provenance["source"] == {
        "split": "train",
        "features": "encoder.keras",
        "features_fingerprint": "a1",
    }


def test_key_depends_on_images_settings_features_and_space(pictures: np.ndarray) -> None:
    pixels = FeatureSource()
    paths = {
        table_path(pictures, SETTINGS, pixels),
        table_path(pictures[::-1], SETTINGS, pixels),
        table_path(pictures, MiningSettings(index="sklearn", num_neighbors=4), pixels),
        table_path(pictures, SETTINGS, FeatureSource("encoder", "a1")),
        table_path(pictures, SETTINGS, FeatureSource("encoder", "a2")),
        table_path(pictures, SETTINGS, pixels, space="global"),
    }
    assert len(paths) == 6
    assert table_path(pictures, SETTINGS, pixels) in paths


def test_global_space_draws_random_neighbors(tmp_path: Path, pictures: np.ndarray) -> None:
    local, spread = (
        find_or_mine(pictures, SETTINGS, space=space, cache_dir=tmp_path)
        for space in ("local", "global")
    )
    assert spread.provenance["space"] == "global"
    assert spread.distances.mean() > local.distances.mean()
    with pytest.raises(InputError, match="space"):
        find_or_mine(pictures, SETTINGS, space="nearby", cache_dir=tmp_path)


def test_damaged_file_is_mined_again_with_a_warning(
    tmp_path: Path, pictures: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    first = find_or_mine(pictures, SETTINGS, cache_dir=tmp_path)
    path = table_path(pictures, SETTINGS, FeatureSource(), cache_dir=tmp_path)
    path.write_bytes(b"not a table")
    again = find_or_mine(pictures, SETTINGS, cache_dir=tmp_path)
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(first.indices, again.indices)


# Mines with an encoder that says when it starts and takes its time.
MINER = """
import sys, time
import numpy as np
from lsp_keras.neighbors import FeatureSource, MiningSettings, find_or_mine
def encode(images):
    print("encoding", flush=True)
    time.sleep(0.5)
    return images.reshape(len(images), -1)[:, :5]
images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3)).astype(np.uint8)
source = FeatureSource("encoder.keras", "a1", encode=encode)
table = find_or_mine(images, MiningSettings(index="sklearn"), source, cache_dir=sys.argv[1])
print(table.indices.sum(), flush=True)
"""


def test_of_processes_that_need_one_table_at_once_one_mines_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MINER, str(tmp_path)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    outputs = [process.communicate() for process in processes]
    lines = [line for output, _ in outputs for line in output.splitlines()]
    assert lines.count("encoding") == 1
    assert len(set(lines) - {"encoding"}) == 1
    assert len(lines) == 4
    assert len(list((tmp_path / "neighbors").iterdir())) == 1
