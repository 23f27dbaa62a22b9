"""Table files: what is written is read, and nothing else is accepted."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lsp_keras.neighbors import MiningSettings, load_table, mine, save_table
from lsp_keras.types import NeighborTable
from lsp_keras.validation import InputError


@pytest.fixture
def table(pictures: np.ndarray) -> NeighborTable:
    return mine(pictures, MiningSettings(index="sklearn"), source={"dataset": "noise"})


def test_table_comes_back_as_it_was(
    tmp_path: Path, table: NeighborTable, pictures: np.ndarray
) -> None:
    path = tmp_path / "table.npz"
    save_table(path, table)
    loaded = load_table(path, images=pictures)
    np.testing.assert_array_equal(loaded.indices, table.indices)
    np.testing.assert_array_equal(loaded.distances, table.distances)
    assert loaded.provenance == table.provenance
    assert loaded.provenance["source"] == {"dataset": "noise"}


def test_other_images_are_refused_with_the_reason(
    tmp_path: Path, table: NeighborTable, pictures: np.ndarray
) -> None:
    path = tmp_path / "table.npz"
    save_table(path, table)
    with pytest.raises(InputError, match="holds 40 images, but there are 39 training images"):
        load_table(path, images=pictures[:39])
    with pytest.raises(InputError, match=r"made from other images.*'dataset': 'noise'"):
        load_table(path, images=pictures[::-1])


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no neighbor table at .*absent\.npz"):
        load_table(tmp_path / "absent.npz")


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
def test_truncated_file_is_refused(tmp_path: Path, table: NeighborTable, keep: int) -> None:
    path = tmp_path / "table.npz"
    save_table(path, table)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="not a neighbor table of lsp-keras, or it is damaged"):
        load_table(path)


def test_flipped_bytes_are_refused(tmp_path: Path, table: NeighborTable) -> None:
    path = tmp_path / "table.npz"
    save_table(path, table)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(byte ^ 0xFF for byte in content[middle : middle + 8])
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"):
        load_table(path)


def test_foreign_and_pickled_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, weights=np.ones(3))
    with pytest.raises(InputError, match="not a neighbor table"):
        load_table(path)
    np.savez(path, format=np.array([{"pickled": True}], dtype=object))
    with pytest.raises(InputError, match="not a neighbor table"):
        load_table(path)
    np.savez(path, format=np.array("lsp-keras neighbor table 0"))
    with pytest.raises(InputError, match="table 0'; this version reads"):
        load_table(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda indices, distances: indices.__setitem__((0, 0), 40), "does not hold"),
        (lambda indices, distances: indices.__setitem__((3, 1), 3), "its own neighbor"),
        (lambda indices, distances: distances.__setitem__((0, 0), np.nan), "not finite"),
        (lambda indices, distances: distances.__setitem__((0, 0), -1), "negative"),
    ],
)
def test_impossible_tables_are_refused(
    tmp_path: Path, table: NeighborTable, change, reason: str
) -> None:
    wrong = dataclasses.replace(
        table, indices=table.indices.copy(), distances=table.distances.copy()
    )
    change(wrong.indices, wrong.distances)
    save_table(tmp_path / "table.npz", wrong)
    with pytest.raises(InputError, match=reason):
        load_table(tmp_path / "table.npz")


def written(path: Path, table: NeighborTable, **changes: np.ndarray) -> Path:
    save_table(path, table)
    with np.load(path) as content:
        arrays = dict(content)
    np.savez_compressed(path, **(arrays | changes))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"indices": np.zeros((40, 8), np.int32)},
        {"indices": np.zeros((40, 8), np.uint64)},
        {"indices": np.zeros((40, 8))},
        {"indices": np.zeros((40, 7), np.int64)},
        {"indices": np.zeros(40, np.int64)},
        {"indices": np.full((40, 8), 2**62)},
        {"indices": np.full((40, 8), "a")},
        {"distances": np.zeros((39, 8), np.float32)},
        {"distances": np.zeros((40, 8))},
        {"distances": np.full((40, 8), np.inf, np.float32)},
        {"distances": np.zeros((40, 8), np.complex64)},
        {"indices": np.zeros((0, 8), np.int64), "distances": np.zeros((0, 8), np.float32)},
        {"provenance": np.asarray("[" * 100_000)},
        {"provenance": np.asarray("[1]")},
        {"provenance": np.asarray('{"images": ')},
        {"provenance": np.asarray(3)},
        {"format": np.asarray(["lsp-keras neighbor table 1"])},
        # 200 MB of zeros in 200 KB, as neighbors of 40 images.
        {"indices": np.zeros((25_000, 1000), np.int64)},
    ],
)
def test_tables_of_strangers_are_refused_in_a_sentence(
    tmp_path: Path, table: NeighborTable, pictures: np.ndarray, changes: dict
) -> None:
    path = written(tmp_path / "table.npz", table, **changes)
    with pytest.raises(InputError) as caught:
        load_table(path, images=pictures)
    assert "\n" not in str(caught.value)


def test_failed_write_keeps_the_old_file(tmp_path: Path, table: NeighborTable) -> None:
    path = tmp_path / "table.npz"
    save_table(path, table)
    before = path.read_bytes()
    unwritable = dataclasses.replace(table, provenance={"source": object()})
    with pytest.raises(TypeError, match="JSON"):
        save_table(path, unwritable)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["table.npz"]
