"""Atomic files and fingerprints."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lsp_keras.storage import (
    atomic_path,
    cache_dir,
    fingerprint,
    own_temporary_files,
    read_json,
    remove_leftovers,
    scratch_folder,
    temporary_name,
    write_json,
)
from lsp_keras.validation import InputError

# Leaves a half-written file and a half-written folder, as a killed process does.
KILLED = """
import os, signal, sys
from pathlib import Path
from lsp_keras.storage import atomic_path
with atomic_path(Path(sys.argv[1]) / "model.keras") as file:
    file.write_text("half")
    with atomic_path(Path(sys.argv[1]) / "1") as folder:
        folder.mkdir()
        (folder / "weights").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_leftovers(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert len(list(folder.iterdir())) == 2


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert list(path.parent.iterdir()) == [path]


def test_folders_are_written_atomically_too(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("1")
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "weights").read_text() == "1"
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "other") as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["model"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_of_two_that_make_the_same_the_first_one_stays(tmp_path: Path, kind: str) -> None:
    def make(text: str, inside: Path | None = None) -> None:
        with atomic_path(tmp_path / "1", replace=False) as temporary:
            if kind == "folder":
                temporary.mkdir()
            (temporary / "weights" if kind == "folder" else temporary).write_text(text)
            if inside is not None:
                make("first")

    with pytest.raises(FileExistsError):
        make("second", inside=tmp_path)
    path = tmp_path / "1"
    assert (path / "weights" if kind == "folder" else path).read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_json(folder / "record.json", 1),
        remove_leftovers,
        lambda folder: scratch_folder(folder).__enter__(),
    ],
)
def test_what_a_killed_process_left_is_gone_after_the_next_write(tmp_path: Path, write) -> None:
    leave_leftovers(tmp_path / "run")
    running = temporary_name(tmp_path / "run", ".keras")
    running.write_text("mine")
    users = tmp_path / "run" / ".tmp-notes"
    users.write_text("not ours")
    left = set((tmp_path / "run").iterdir()) - {running, users}
    write(tmp_path / "run")
    assert not any(path.exists() for path in left)
    assert running.exists()
    assert users.exists()


TEMPORARY = """
import os, signal, sys, tempfile
from pathlib import Path
from lsp_keras.storage import own_temporary_files
with own_temporary_files():
    folder = tempfile.mkdtemp()
    (Path(folder) / "weights").write_text("unpacked")
    print(folder)
    sys.stdout.flush()
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_temporary_files_of_a_killed_process_are_gone_after_the_next_one(tmp_path: Path) -> None:
    def run(how: str) -> Path:
        done = subprocess.run(
            [sys.executable, "-c", TEMPORARY, how],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        return Path(done.stdout.strip())

    left = run("killed")
    assert (left / "weights").exists()
    assert left.is_relative_to(tmp_path / f"lsp-keras-{os.getuid()}")
    assert (tmp_path / f"lsp-keras-{os.getuid()}").stat().st_mode & 0o77 == 0
    ended = run("ended")
    assert not left.exists()
    assert not ended.exists()
    assert list((tmp_path / f"lsp-keras-{os.getuid()}").iterdir()) == []


def test_a_folder_that_is_not_ones_own_is_not_used(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"lsp-keras-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with own_temporary_files():
        assert tempfile.gettempdir() == str(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_temporary_files_of_another_machine_are_kept_for_a_day(tmp_path: Path) -> None:
    path = tmp_path / ".tmp-00000000-12-345-0123abcd.npz"
    path.write_text("half")
    remove_leftovers(tmp_path)
    assert path.exists()
    os.utime(path, (0, 0))
    remove_leftovers(tmp_path)
    assert not path.exists()


def test_the_longest_names_that_a_folder_can_hold_are_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 250}.json"
    write_json(path, 1)
    assert path.read_text() == "1\n"


def test_fingerprint_sees_values_types_shapes_and_order() -> None:
    array = np.arange(6, dtype=np.int64)
    digest = fingerprint(array, {"b": 1, "a": 2})
    assert digest == fingerprint(array.copy(), {"a": 2, "b": 1})
    assert len(digest) == 16
    others = [
        fingerprint(array.astype(np.int32), {"a": 2, "b": 1}),
        fingerprint(array.reshape(2, 3), {"a": 2, "b": 1}),
        fingerprint({"a": 2, "b": 1}, array),
        fingerprint(array[::-1], {"a": 2, "b": 1}),
    ]
    assert len({digest, *others}) == 5


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"3", b"\xff", b"[" * 10**5, b'{"a": ' * 10**5, bytes(99)],
)
def test_records_of_strangers_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dataset.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is no record of lsp-keras, or it is damaged: .*\.$"):
        read_json(path)


def test_what_is_no_file_is_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("pipe.json", "absent.json"):
        with pytest.raises(InputError, match="There is no record"):
            read_json(tmp_path / name)
    write_json(tmp_path / "a.json", {"a": [1]})
    assert read_json(tmp_path / "a.json") == {"a": [1]}


def test_cache_dir_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "lsp-keras"
    assert cache_dir("mine") == Path("mine")
