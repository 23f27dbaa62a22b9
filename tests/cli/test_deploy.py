"""`lsp-keras deploy init` as a user runs it."""

import re
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lsp_keras.cli._deployment import copy_files
from lsp_keras.validation import InputError


def packaged() -> dict[str, bytes]:
    source = Path(str(resources.files("lsp_keras.serving"))) / "deploy"
    return {
        str(path.relative_to(source)): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file()
    }


def copied(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_all_files_are_copied_and_named(run_cli, tmp_path: Path) -> None:
    done = run_cli("deploy", "init", "deploy")
    assert done.returncode == 0, done.stderr
    assert copied(tmp_path / "deploy") == packaged()
    assert sorted(done.stdout.split()) == sorted(f"deploy/{name}" for name in packaged())
    for path in re.findall(r"deploy/[\w./-]+", done.stderr):
        assert (tmp_path / path).exists(), path
    again = run_cli("deploy", "init", "deploy")
    assert again.returncode == 2
    assert "deploy exists already" in again.stderr


def test_an_empty_folder_is_filled_and_another_is_left_alone(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(copy_files(empty)) == len(packaged())
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.yaml").write_text("mine")
    for place in (full, full / "mine.yaml"):
        with pytest.raises(InputError, match="exists already"):
            copy_files(place)
    assert copied(full) == {"mine.yaml": b"mine"}


def test_of_two_that_copy_to_one_folder_the_second_is_refused(tmp_path: Path, monkeypatch) -> None:
    copytree = shutil.copytree

    def slowly(source: Path, target: Path, *inner: Any) -> object:
        # It calls itself, with more arguments, for the folders within.
        if inner:
            return copytree(source, target, *inner)
        copytree(source, target)
        (tmp_path / "deploy").mkdir()
        (tmp_path / "deploy" / "other.yaml").write_text("of another process")
        return target

    monkeypatch.setattr(shutil, "copytree", slowly)
    with pytest.raises(InputError, match="deploy exists already"):
        copy_files(tmp_path / "deploy")
    assert copied(tmp_path) == {"deploy/other.yaml": b"of another process"}
