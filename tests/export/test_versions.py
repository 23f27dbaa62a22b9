"""Versions of exports that run at the same time, and names that are none."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lsp_keras.export.versions import (
    choose_version,
    existing_versions,
    place_version,
    publish_version,
)
from lsp_keras.places import place
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


def test_exports_to_a_store_at_a_time_get_versions_of_their_own(tmp_path, fake_store) -> None:
    root, _ = fake_store
    folders = [write(tmp_path, number) for number in range(12)]

    def export(folder: Path) -> Any:
        return publish_version(folder, place("fake://b/m"), None, marker="saved_model.pb")

    with ThreadPoolExecutor(12) as pool:
        placed = list(pool.map(export, folders))
    assert len({folder.name for folder in placed}) == 12
    for number, folder in enumerate(placed):
        assert (folder / "saved_model.pb").read_text() == str(number)
    assert sorted(map(str, existing_versions(root / "b/m"))) == sorted(
        path.name for path in (root / "b/m").iterdir()
    )


def test_a_version_of_a_store_is_given_once(tmp_path, fake_store) -> None:
    root, _ = fake_store
    folders = [write(tmp_path, number) for number in range(8)]

    def export(folder: Path) -> bool:
        try:
            publish_version(folder, place("fake://b/m"), 7, marker="saved_model.pb")
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(export, folders))
    # All of them may give way to each other; who comes later finds the number free.
    assert sum(given) <= 1
    assert any(given) != export(folders[0])
    assert [path.name for path in (root / "b/m").iterdir()] == ["7"]


@pytest.mark.parametrize(("age", "expected"), [(60, "4"), (2 * 24 * 3600, "3")])
def test_the_claim_of_a_killed_export_counts_for_a_day(tmp_path, fake_store, age, expected) -> None:
    base = place("fake://b/m")
    (base / "2").mkdir(parents=True)
    (base / f".claim-3-{int(time.time()) - age}-ab").write_text("")
    folder = publish_version(write(tmp_path, 1), base, None, marker="saved_model.pb")
    assert folder.name == expected
    if age == 60:
        with pytest.raises(InputError, match=r"Version 3 is being written to .* by another export"):
            publish_version(write(tmp_path, 2), base, 3, marker="saved_model.pb")
    for name in (".claim-x-1-a", ".claim-5", ".claim"):
        (base / name).write_text("")
    assert choose_version(base, None).name == str(int(expected) + 1)
