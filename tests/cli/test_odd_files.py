"""Pipes, devices and links to nothing where a file is named: one sentence, and never a wait."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lsp_keras.cli.main import main

DATA = ("--dataset", "digits", "--num-train", "64")


def make(kind: str, path: Path) -> None:
    """Puts something at a path that is no file of its kind."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "broken link":
        path.symlink_to("nowhere")
    elif kind == "link to itself":
        path.symlink_to(path)
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))


def serve(flag: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda path: ("serve", ".", "--embedded", f"--{flag}={path}")


# By the name that the file has, for some readers go by it.
ARGUMENTS: dict[str, tuple[str, Callable[[Path], tuple[str, ...]]]] = {
    "recipe": ("a.toml", lambda path: ("fit", "--recipe", str(path))),
    "encoder": ("a.keras", lambda path: ("fit", *DATA, "--encoder", str(path))),
    "embeddings": ("a.npy", lambda path: ("mine", *DATA, "--embeddings", str(path))),
    "neighbors": ("a.npz", lambda path: ("fit", *DATA, "--neighbors", str(path))),
    "start": ("a.weights.h5", lambda path: ("fit", *DATA, "--no-lsp", "--from", str(path))),
    "model": ("a.keras", lambda path: ("attack", str(path), "--dataset", "digits")),
    "attacks": ("a.toml", lambda path: ("attack", "zoo:cifar10_standard", "--settings", str(path))),
    "export": ("a.keras", lambda path: ("export", str(path), "--to", "models")),
    "history": ("history.csv", lambda path: ("plot", str(path.parent))),
    "models": ("a.config", lambda path: ("serve", "--embedded", f"--model_config_file={path}")),
    "batching": ("a", lambda path: (*serve("batching_parameters_file")(path), "--enable_batching")),
    "monitoring": ("a", serve("monitoring_config_file")),
    "certificates": ("a", serve("ssl_config_file")),
    "authorities": ("a", lambda path: ("predict", "a.png", f"--certificates={path}")),
    "token": ("a", serve("token_file")),
    "key": ("a", lambda path: (*serve("tls_key")(path), f"--tls_cert={path}")),
}

# These load images first.
SLOW = ("encoder", "embeddings", "neighbors", "start")


@pytest.mark.parametrize("kind", ["pipe", "device", "broken link", "link to itself", "socket"])
@pytest.mark.parametrize(
    "argument",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in ARGUMENTS],
)
def test_one_line_and_exit_2(
    argument: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    # As a folder of models, for what is looked for below it.
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    monkeypatch.chdir(tmp_path)
    name, arguments = ARGUMENTS[argument]
    make(kind, tmp_path / name)
    monkeypatch.setattr(sys, "argv", ["lsp-keras", *arguments(tmp_path / name)])
    with pytest.raises(SystemExit) as caught:
        main()
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert (caught.value.code, last[:7]) == (2, "Error: "), last
    assert len(last) < 700
