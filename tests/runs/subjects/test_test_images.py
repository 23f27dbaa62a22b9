"""The images that a model is measured on have the shape that it takes."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tomli_w
from PIL import Image

from lsp_keras.datasets import load
from lsp_keras.runs.build import load_dataset
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.subjects.test_images import load_images


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    """Two classes of photographs, of which the left half is red."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(5):
            picture = Image.new("RGB", (80, 40), "blue")
            picture.paste("red", (0, 0, 40, 40))
            picture.save(tmp_path / "photos" / name / f"{index}.png")
    return f"folder:{tmp_path / 'photos'}"


@pytest.mark.parametrize("shape", [(32, 32, 3), (20, 50, 1), (8, 12, 3), (None, None, 3)])
def test_a_model_outside_of_a_run_decides_the_shape(photographs, shape) -> None:
    test = load_images(
        None, dataset=photographs, data_dir=None, cache_dir=None, image_shape=shape
    ).test
    # The folder's own size is 40x80.
    height, width, channels = (size or own for size, own in zip(shape, (40, 80, 3), strict=True))
    assert test.images.shape[1:] == (height, width, channels)
    expected = load(photographs, image_size=(height, width), channels=channels).test
    np.testing.assert_array_equal(test.images, expected.images)


def test_another_dataset_is_read_as_the_runs_own_was(photographs, tmp_path) -> None:
    settings = {"dataset": "digits", "resize": "stretch", "image_size": "24x24"}
    (tmp_path / "config.toml").write_text(tomli_w.dumps(settings))
    own, other = (
        load_images(
            tmp_path, dataset=name, data_dir=None, cache_dir=None, image_shape=(24, 24, 3)
        ).test
        for name in (None, photographs)
    )
    assert own.images.shape == (359, 24, 24, 3)
    expected = load(photographs, image_size=24, resize="stretch").test
    np.testing.assert_array_equal(other.images, expected.images)


def test_a_run_keeps_its_shape_when_its_folder_gets_other_images(photographs, tmp_path) -> None:
    (tmp_path / "config.toml").write_text(tomli_w.dumps({"dataset": photographs}))
    (tmp_path / "dataset.json").write_text(json.dumps({"image_shape": [30, 40, 1]}))
    loaded = load_images(tmp_path, dataset=None, data_dir=None, cache_dir=None)
    assert loaded.info.image_shape == (30, 40, 1)


def test_training_from_a_file_takes_its_images(photographs, tmp_path) -> None:
    images = keras.Input((24, 20, 1))
    keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images))).save(
        tmp_path / "own.keras"
    )
    config = FitConfig.of(dataset=photographs, model=str(tmp_path / "own.keras"), validation_size=2)
    assert load_dataset(config, tmp_path).info.image_shape == (24, 20, 1)
    named = config.changed(image_size="32x32", channels=3)
    assert load_dataset(named, tmp_path).info.image_shape == (32, 32, 3)
