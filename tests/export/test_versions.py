"""Versions of exports that run at the same time, and names that are none."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lsp_keras.export.versions import choose_version, existing_versions, place_version
from lsp_keras.validation import InputError


def write(base: Path, number: int) -> Path:
    folder = base / f".written-{number}"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text(str(number))
    return folder


def test_exports_at_the_same_time_get_versions_of_their_own(tmp_path: Path) -> None:
    written = [write(tmp_path, number) for number in range(40)]
    with ThreadPoolExecutor(20) as pool:
        placed = list(pool.map(lambda folder: place_version(folder, tmp_path, None), written))
    assert existing_versions(tmp_path) == list(range(1, 41))
    for number, folder in enumerate(placed):
        assert (folder / "saved_model.pb").read_text() == str(number)
    assert len(list(tmp_path.iterdir())) == 40


def test_a_version_that_was_asked_for_is_given_once(tmp_path: Path) -> None:
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    assert place_version(first, tmp_path, 7) == tmp_path / "7"
    with pytest.raises(InputError, match="Version 7 exists already"):
        place_version(second, tmp_path, 7)
    assert (second / "saved_model.pb").exists()


@pytest.mark.parametrize("name", ["1", "01"])
@pytest.mark.parametrize("kind", ["file", "folder", "full folder"])
def test_nothing_that_has_a_versions_name_is_replaced(tmp_path: Path, name: str, kind: str) -> None:
    taken = tmp_path / name
    if kind == "file":
        taken.write_text("mine")
    else:
        taken.mkdir()
    if kind == "full folder":
        (taken / "notes").write_text("mine")
    assert place_version(write(tmp_path, 1), tmp_path, None) == tmp_path / "2"
    with pytest.raises(InputError, match="Version 1 exists already"):
        choose_version(tmp_path, 1)


@pytest.mark.parametrize("version", [0, -1, 2**63, 10**30])
def test_versions_are_positive_64_bit_integers(tmp_path: Path, version: int) -> None:
    with pytest.raises(InputError, match="`version` must be 1 or more and fit in 64 bits"):
        choose_version(tmp_path, version)


def test_other_names_are_no_versions(tmp_path: Path) -> None:
    for name in ("\u0663", "\u00b2", "1.0", "-3", "v4", str(2**63), "9" * 200, ".tmp-5"):
        (tmp_path / name).mkdir()
    assert existing_versions(tmp_path) == []
    assert choose_version(tmp_path, None) == tmp_path / "1"
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(InputError, match="fit in 64 bits"):
        choose_version(tmp_path, None)
