"""An exported run sees in files of every format the pixels that it was trained on."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tomli_w
from PIL import Image

from lsp_keras.datasets import load
from lsp_keras.export import ExportOptions, export_model
from lsp_keras.runs.subjects.served_files import check_files


def photographs(folder: Path) -> Path:
    """Two classes with a file of every format, of several sizes."""
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        for height, width in ((24, 40), (24, 40), (24, 40), (50, 30)):
            target = folder / name / f"{height}x{width}-{len(list(folder.rglob('*.*')))}"
            target.mkdir(parents=True)
            pixels = generator.integers(0, 256, (height // 2, width // 2, 4)).astype(np.uint8)
            image = Image.fromarray(np.kron(pixels, np.ones((2, 2, 1), np.uint8)))
            color, tags = image.convert("RGB"), Image.Exif()
            tags[0x0112] = 6
            color.save(target / "plain.jpg", quality=95)
            color.save(target / "turned.jfif", "JPEG", exif=tags)
            color.convert("CMYK").save(target / "print.jpeg")
            color.convert("L").save(target / "gray.png")
            image.save(target / "transparent.png")
            color.quantize(16).save(target / "drawing.gif", transparency=3)
            color.save(target / "old.bmp")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("photographs"))


# Crop and three channels together are compared below.
@pytest.mark.parametrize(
    ("resize", "channels"),
    [
        ("stretch", 1),
        pytest.param("pad", 3, marks=pytest.mark.slow),
        pytest.param("crop", 1, marks=pytest.mark.slow),
        pytest.param("stretch", 3, marks=pytest.mark.slow),
    ],
)
def test_files_and_pixels_get_the_same_answers(folder, tmp_path, resize, channels) -> None:
    settings = {"dataset": f"folder:{folder}", "resize": resize, "channels": channels, "seed": 3}
    (tmp_path / "config.toml").write_text(tomli_w.dumps(settings))
    shape = load(settings["dataset"], channels=channels).info.image_shape
    assert shape == (24, 40, channels)
    model = linear_model(shape)
    options = ExportOptions(resize=resize)
    version = export_model(model, tmp_path / "served", class_names=["cat", "dog"], options=options)
    agreement = check_files(tmp_path, version)
    assert agreement is not None
    # A fifth of the 28 images of each class.
    assert agreement.num_files == agreement.same_classes == 12
    assert agreement.largest_difference == 0


def test_another_way_to_resize_is_noticed(folder, tmp_path) -> None:
    settings = {"dataset": f"folder:{folder}", "resize": "stretch"}
    (tmp_path / "config.toml").write_text(tomli_w.dumps(settings))
    version = export_model(linear_model((24, 40, 3)), tmp_path / "it", class_names=["cat", "dog"])
    agreement = check_files(tmp_path, version)
    assert agreement is not None
    assert agreement.largest_difference > 0.01
    (tmp_path / "config.toml").write_text(tomli_w.dumps(settings | {"resize": "crop"}))
    agreement = check_files(tmp_path, version)
    assert agreement is not None
    assert agreement.num_files == agreement.same_classes == 12
    assert agreement.largest_difference == 0


def test_runs_on_other_sources_are_not_compared(tmp_path) -> None:
    (tmp_path / "config.toml").write_text(tomli_w.dumps({"dataset": "digits"}))
    assert check_files(tmp_path, tmp_path) is None


def linear_model(shape: tuple[int, int, int]) -> keras.Model:
    images = keras.Input(shape)
    initializer = keras.initializers.RandomNormal(seed=0)
    logits = keras.layers.Dense(2, kernel_initializer=initializer)(keras.layers.Flatten()(images))
    return keras.Model(images, logits)
