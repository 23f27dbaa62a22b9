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


def test_client_needs_nothing_of_training_or_serving() -> None:
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'scann', 'tensorflow_datasets', 'cleverhans',\n"
        "             'grpc', 'starlette', 'matplotlib', 'sklearn', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "from lsp_keras.serving import Client\n"
        "from lsp_keras.cli.main import main\n"
        "print(Client.__name__)\n"
        "sys.argv = ['lsp-keras', 'predict', '--help']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Client\nUsage: lsp-keras predict")


def test_missing_package_is_named_with_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "from lsp_keras.cli.main import main\n"
        "sys.argv = ['lsp-keras', 'data', 'show', 'digits']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs tensorflow, which is not installed" in done.stderr
    assert "pip install 'lsp-keras[train]'" in done.stderr
