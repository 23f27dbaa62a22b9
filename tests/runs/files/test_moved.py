"""A run finds its image folder again after one of both was moved."""

import json
import shutil
from pathlib import Path

import pytest
import tomli_w
from PIL import Image

from lsp_keras.runs.files.moved import folder_record, present_name
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
