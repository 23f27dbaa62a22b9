"""Tiny SavedModels, and one server for each test module that asks for it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tensorflow as tf

from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.options import ServerOptions
from lsp_keras.serving.server import Server, running


class Affine(tf.Module):
    """`y = 2 x + offset`, of three numbers; and an echo of every type that JSON knows."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.scale = tf.Variable([2.0, 2.0, 2.0])
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, "x")])
    def affine(self, x):
        return {"y": x * self.scale + self.offset}

    @tf.function(
        input_signature=[
            tf.TensorSpec(None, tf.float32, "floats"),
            tf.TensorSpec(None, tf.int64, "integers"),
            tf.TensorSpec(None, tf.string, "text"),
        ]
    )
    def echo(self, floats, integers, text):
        return {
            "floats": tf.identity(floats),
            "integers": tf.identity(integers),
            "text": tf.identity(text),
            "raw_bytes": tf.identity(text),
        }

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "data_bytes")])
    def lengths(self, data_bytes):
        return {"length": tf.strings.length(data_bytes)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, "x")])
    def half(self, x):
        return {"y": tf.cast(x, tf.float16)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, "x")])
    def positive(self, x):
        tf.debugging.assert_positive(x, "x must be positive")
        return {"y": tf.reduce_sum(x), "rows": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32, "steps")])
    def slow(self, steps):
        return {"y": tf.while_loop(lambda i: i < steps, lambda i: [i + 1], [0])[0]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "inputs")])
    def classify(self, inputs):
        x = self.parse(inputs)
        labels = tf.tile([["low", "high"]], [tf.shape(x)[0], 1])
        return {"classes": labels, "scores": tf.stack([-x, x], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "inputs")])
    def regress(self, inputs):
        return {"outputs": 2.0 * self.parse(inputs)}

    @staticmethod
    def parse(examples):
        return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature((), tf.float32)})["x"]


def save_affine(folder: Path, offset: float = 0.5) -> Path:
    module = Affine(offset)
    names = ("echo", "lengths", "half", "positive", "slow", "classify", "regress")
    signatures = {name: getattr(module, name) for name in names}
    signatures["serving_default"] = module.affine
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="session")
def affine_folder(tmp_path_factory) -> Path:
    """A base path with version 1; copy it before changing it."""
    base = tmp_path_factory.mktemp("models") / "affine"
    save_affine(base / "1")
    return base


@pytest.fixture(scope="module")
def server(affine_folder) -> Iterator[Server]:
    options = ServerOptions(rest_port=0, grpc_port=0, poll_seconds=0.05)
    with running([ModelConfig("affine", affine_folder)], options) as started:
        yield started


@pytest.fixture(scope="module")
def post(server) -> Callable[..., requests.Response]:
    """Posts a body (text, bytes or a JSON value) to a path."""
    session = requests.Session()

    def send(path: str, body: object, **options: Any) -> requests.Response:
        url = f"http://127.0.0.1:{server.rest_port}{path}"
        key = "data" if isinstance(body, bytes | str) else "json"
        content: dict[str, Any] = {key: body}
        return session.post(url, **content, timeout=30, **options)

    return send


@pytest.fixture(scope="module")
def get(server) -> Callable[..., requests.Response]:
    session = requests.Session()

    def fetch(path: str, **options: Any) -> requests.Response:
        return session.get(f"http://127.0.0.1:{server.rest_port}{path}", timeout=30, **options)

    return fetch


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
