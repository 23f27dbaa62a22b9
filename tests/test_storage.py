"""Atomic files and fingerprints."""

from pathlib import Path

import numpy as np
import pytest

from lsp_keras.storage import atomic_path, cache_dir, fingerprint, write_json


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


def test_cache_dir_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "lsp-keras"
    assert cache_dir("mine") == Path("mine")
