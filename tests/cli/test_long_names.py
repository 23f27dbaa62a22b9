"""Names that no file system holds are refused in one line, by every command that takes one."""

import sys
from pathlib import Path

import pytest

from lsp_keras.cli.main import main

NAME = "n" * 300
DATA = ("--dataset", "digits", "--num-train", "64")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", *DATA, "--no-lsp", "--name", NAME),
        ("fit", *DATA, "--no-lsp", "--runs-dir", NAME),
        ("fit", *DATA, "--no-lsp", "--name", NAME, "--resume"),
        ("fit", "--recipe", NAME),
        ("fit", "--recipe", f"{NAME}.toml"),
        ("fit", "--no-lsp", "--dataset", f"folder:{NAME}"),
        ("fit", *DATA, "--encoder", NAME),
        ("fit", *DATA, "--embeddings", NAME),
        ("fit", *DATA, "--neighbors", NAME),
        ("mine", *DATA, "--embeddings", NAME),
        ("mine", *DATA, "--output", f"{NAME}.npz"),
        ("attack", NAME),
        ("diagnose", NAME),
        ("export", NAME, "--to", "model"),
        ("plot", NAME),
        ("serve", NAME),
    ],
    ids=range(16),
)
def test_one_line_and_exit_2(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lsp-keras", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert (caught.value.code, last[:7]) == (2, "Error: "), last
    assert len(last) < 700
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in left if "cache" not in path.parts] == []
