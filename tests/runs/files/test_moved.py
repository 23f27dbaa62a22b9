"""A run finds its image folder again after one of both was moved."""

import json
import shutil
from pathlib import Path

import pytest
import tomli_w
from PIL import Image

from lsp_keras.datasets import prepare
from lsp_keras.runs.files.moved import folder_record, images_name, known_names, present_name
from lsp_keras.runs.subjects.test_images import load_images
from lsp_keras.validation import InputError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with images, and a run on them that was started in it."""
    project = tmp_path / "project"
    for name, color in (("cat", "red"), ("dog", "blue")):
        (project / "photos" / name).mkdir(parents=True)
        for index in range(5):
            Image.new("RGB", (20, 20), color).save(project / "photos" / name / f"{index}.png")
    run = project / "runs" / "own"
    run.mkdir(parents=True)
    monkeypatch.chdir(project)
    (run / "config.toml").write_text(tomli_w.dumps({"dataset": "folder:photos@16"}))
    record = {"folder": folder_record("folder:photos@16", Path("runs/own"))}
    (run / "dataset.json").write_text(json.dumps(record))
    return project


def load(run: Path) -> int:
    return len(load_images(run, dataset=None, data_dir=None, cache_dir=None).test)


def test_a_record_names_the_folder_twice(project: Path) -> None:
    record = folder_record("folder:photos@16", Path("runs/own"))
    assert record == {"absolute": str(project / "photos"), "relative": "../../photos"}
    assert folder_record("cifar10", Path("runs/own")) is None


def test_another_working_folder_does_not_matter(project: Path, monkeypatch) -> None:
    assert load(Path("runs/own")) == 2
    monkeypatch.chdir(project.parent)
    assert load(project / "runs" / "own") == 2
    assert present_name("folder:photos@16", project / "runs" / "own") == (
        f"folder:{project / 'photos'}@16"
    )


def test_another_folder_of_the_same_relative_name_is_not_taken(project: Path, monkeypatch) -> None:
    (project.parent / "photos").mkdir()
    monkeypatch.chdir(project.parent)
    assert load(project / "runs" / "own") == 2


def test_run_and_images_may_be_moved_together(project: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "elsewhere" / "project"
    shutil.move(project, moved)
    assert load(moved / "runs" / "own") == 2


def test_images_that_are_gone_are_asked_for(project: Path) -> None:
    (project / "photos").rename(project / "pictures")
    with pytest.raises(InputError, match=r"there is no photos, .*: --dataset folder:PATH"):
        load(Path("runs/own"))
    loaded = load_images(Path("runs/own"), dataset="folder:pictures", data_dir=None, cache_dir=None)
    assert len(loaded.test) == 2


def test_other_datasets_keep_their_names(tmp_path: Path) -> None:
    assert present_name("cifar10@16", tmp_path) == "cifar10@16"


def test_prepared_data_are_found_again_as_image_folders_are(project: Path, monkeypatch) -> None:
    prepare("folder:photos@16", "photos16")
    run = project / "runs" / "own"
    (run / "config.toml").write_text(tomli_w.dumps({"dataset": "prepared:photos16"}))
    record = {"folder": folder_record("prepared:photos16", run)}
    (run / "dataset.json").write_text(json.dumps(record))
    assert load(run) == 2
    monkeypatch.chdir(project.parent)
    assert load(run) == 2
    shutil.rmtree(project / "photos16")
    with pytest.raises(InputError, match="--dataset prepared:PATH"):
        load(run)


def test_records_may_know_a_folder_by_each_of_its_places(project: Path, monkeypatch) -> None:
    run = project / "runs" / "own"
    names = known_names("folder:photos@16", run)
    for folder in ("photos", project / "photos", present_name("folder:photos", run)[7:]):
        assert f"folder:{folder}@16" in names
    assert f"folder:{project / 'other'}@16" not in names
    assert known_names("cifar10", run) == {"cifar10"}
    monkeypatch.chdir(project.parent)
    assert present_name("folder:photos@16", run) in known_names("folder:photos@16", run)


def test_images_have_one_name_whatever_their_size_and_wherever_they_are_named(
    project: Path, monkeypatch
) -> None:
    run = project / "runs" / "own"
    expected = f"folder:{project / 'photos'}"
    assert images_name("folder:photos@16", run) == expected
    assert images_name("folder:photos", None) == expected
    assert images_name("stl10@32", run) == images_name("stl10", None) == "stl10"
    monkeypatch.chdir(project.parent)
    assert images_name("folder:photos", run) == expected


@pytest.mark.parametrize("folder", [{"absolute": 3}, {}, {"relative": "x", "absolute": None}])
def test_a_damaged_record_is_named(project: Path, folder: dict[str, object]) -> None:
    (project / "runs" / "own" / "dataset.json").write_text(json.dumps({"folder": folder}))
    with pytest.raises(InputError, match=r"dataset\.json is damaged"):
        load(Path("runs/own"))
