"""Encoders and embeddings of strangers: used where they are what they should be, else refused."""

import functools
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from lsp_keras.runs.features import embeddings_file_source, encoder_source
from lsp_keras.types import Examples
from lsp_keras.validation import InputError

SHAPE = (8, 8, 3)


@keras.saving.register_keras_serializable("test_features")
class Broken(keras.layers.Layer):
    """Gives what `kind` says instead of features."""

    def __init__(self, kind: str = "nan", **options: Any) -> None:
        super().__init__(**options)
        self.kind = kind

    def call(self, inputs: Any) -> Any:
        flat = keras.ops.mean(inputs, axis=(1, 2))
        return {
            "nan": lambda: flat * float("nan"),
            "infinite": lambda: flat / 0.0,
            "one row": lambda: flat[:1],
            "one number": lambda: keras.ops.sum(flat),
            "no axis": lambda: keras.ops.sum(flat, axis=1),
            "integers": lambda: keras.ops.cast(flat, "int32"),
        }[self.kind]()

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def saved(path: Path, layers: list[Any], shape: tuple[int, ...] = SHAPE) -> Path:
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    return path


def damaged(path: Path, change: Callable[[bytes], bytes]) -> Path:
    saved(path, [keras.layers.Flatten()])
    path.write_bytes(change(path.read_bytes()))
    return path


def bomb(path: Path) -> Path:
    """A megabyte that unpacks to a gigabyte."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("config.json", "w", force_zip64=True) as file,
    ):
        for _ in range(1024):
            file.write(b" " * 2**20)
    return path


def several_inputs(path: Path) -> Path:
    inputs = [keras.Input(SHAPE) for _ in range(2)]
    keras.Model(inputs, keras.layers.Add()(inputs)).save(path)
    return path


def not_built(path: Path) -> Path:
    """What is saved before it knows what it takes."""
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([keras.layers.Dense(3)]).save(path)
    return path


def text(path: Path) -> Path:
    path.write_text("an encoder")
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def test_rows_of_floats_are_features(tmp_path: Path) -> None:
    path = saved(tmp_path / "encoder.keras", [keras.layers.GlobalAveragePooling2D()])
    source = encoder_source(path, SHAPE)
    images = np.random.default_rng(0).random((5, *SHAPE), np.float32)
    assert source.encode is not None
    features = np.asarray(source.encode(images))
    np.testing.assert_allclose(features, images.mean(axis=(1, 2)), rtol=1e-5)


def broken(kind: str, path: Path) -> Path:
    return saved(path, [Broken(kind)])


FILES: dict[str, Callable[[Path], Path]] = {
    "nothing": lambda path: path,
    "a pipe": pipe,
    "text": text,
    "empty": lambda path: damaged(path, lambda content: b""),
    "half": lambda path: damaged(path, lambda content: content[: len(content) // 2]),
    "noise": lambda path: damaged(path, lambda content: os.urandom(len(content))),
    "a bomb": bomb,
    "a lambda": lambda path: saved(path, [keras.layers.Lambda(lambda images: images[:, 0, 0])]),
    "other images": lambda path: saved(path, [keras.layers.Flatten()], (9, 9, 3)),
    "no images": lambda path: saved(path, [keras.layers.Dense(3)], (7,)),
    "several inputs": several_inputs,
    "not built": not_built,
    **{
        kind: functools.partial(broken, kind)
        for kind in ("nan", "infinite", "one row", "one number", "no axis", "integers")
    },
}


@pytest.mark.parametrize("name", FILES)
def test_encoders_of_strangers_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path / "encoder.keras")
    with pytest.raises(InputError) as caught:
        encoder_source(path, SHAPE)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def dataset(count: int) -> Any:
    train = Examples(
        np.zeros((count, *SHAPE), np.uint8), np.zeros(count, np.int64), np.arange(count)
    )
    info = SimpleNamespace(split_sizes={"train": count + 2})
    return SimpleNamespace(train=train, info=info)


@pytest.mark.parametrize(
    "array",
    [
        np.asarray([["a", "b"]] * 5),
        np.asarray([[None, 1]] * 5, object),
        np.ones((5, 2), complex),
        np.ones((5, 2), bool),
        np.ones(5),
        np.ones((5, 2, 2)),
        np.float32(3),
        np.ones((4, 2)),
        np.zeros((0, 2)),
    ],
)
def test_embeddings_of_strangers_are_refused_in_a_sentence(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "rows.npy", array, allow_pickle=True)
    with pytest.raises(InputError) as caught:
        embeddings_file_source(tmp_path / "rows.npy", dataset(5))
    assert "\n" not in str(caught.value)


def test_rows_of_numbers_are_embeddings(tmp_path: Path) -> None:
    rows = np.arange(10).reshape(5, 2)
    np.save(tmp_path / "rows.npy", rows)
    found = embeddings_file_source(tmp_path / "rows.npy", dataset(5))
    np.testing.assert_array_equal(found.embeddings, rows)
