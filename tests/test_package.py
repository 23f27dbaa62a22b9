"""Importing the package."""

import os
import subprocess
import sys


def import_with(
    backend: str | None, code: str = "import lsp_keras"
) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    if backend is not None:
        environment["KERAS_BACKEND"] = backend
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )


def test_another_backend_is_refused_with_what_to_set() -> None:
    done = import_with("jax")
    assert done.returncode != 0
    assert (
        "the backend is 'jax'. Set the environment variable KERAS_BACKEND=tensorflow" in done.stderr
    )


def test_tensorflow_backend_is_chosen() -> None:
    code = (
        "import lsp_keras, os, sys; print(os.environ['KERAS_BACKEND'], 'tensorflow' in sys.modules)"
    )
    for backend in (None, "tensorflow"):
        assert import_with(backend, code).stdout.split() == ["tensorflow", "False"]
