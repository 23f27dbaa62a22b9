"""Small image folders, and datasets that TFDS prepares without a network."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

Examples = Mapping[str, Sequence[dict[str, Any]]]


@pytest.fixture
def make_tfds(request) -> Callable[..., str]:
    """Makes a builder known to TFDS and returns its name; each call needs another `stem`."""

    def make(stem: str, features: Mapping[str, Any], examples: Examples, **info: Any) -> str:
        def describe(builder):
            return tfds.core.DatasetInfo(
                builder=builder, features=tfds.features.FeaturesDict(features), **info
            )

        def split(builder, dl_manager):
            return {name: enumerate(rows) for name, rows in examples.items()}

        members = {
            "__module__": __name__,
            "VERSION": tfds.core.Version("1.0.0"),
            "_info": describe,
            "_split_generators": split,
            "_generate_examples": lambda builder: None,
        }
        builder: Any = type(stem, (tfds.core.GeneratorBasedBuilder,), members)
        return builder.name

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes PNG files, `{"class/name.png": (color, size)}`, and returns their folder."""

    def make(files: Mapping[str, tuple[tuple[int, int, int], tuple[int, int]]]) -> Path:
        root = tmp_path / "images"
        for name, (color, size) in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, color).save(root / name)
        return root

    return make


@pytest.fixture
def gray() -> Callable[[int], np.ndarray]:
    """uint8 image of 8x8 pixels, all of one value."""
    return lambda value: np.full((8, 8, 3), value, np.uint8)
