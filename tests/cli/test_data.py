"""`lsp-keras data`: the list, the facts, the contact sheet, a missing dataset."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lsp_keras import registry
from lsp_keras.cli.data import command
from lsp_keras.datasets import load
from lsp_keras.plots.contact_sheet import contact_sheet

# A port that nothing listens on stands for a machine without a network.
NOWHERE = "http://127.0.0.1:9"
OFFLINE = {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": ""}


@pytest.fixture
def images(tmp_path):
    """Two classes of five images each."""
    root = tmp_path / "My images"
    for name, color in (("cat", "red"), ("dog", "blue")):
        (root / name).mkdir(parents=True)
        for index in range(5):
            Image.new("RGB", (20, 20), color).save(root / name / f"{index}.png")
    return root


def test_list_names_every_dataset(run_cli):
    done = run_cli("data", "list", "--json")
    assert set(registry.names("dataset")) <= set(json.loads(done.stdout))
    text = run_cli("data", "list").stdout
    assert "tfds:NAME" in text
    assert "folder:PATH" in text


@pytest.fixture
def show(tmp_path, monkeypatch):
    """Runs `data show` in this process, in an empty folder; returns its stdout."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(command, ["show", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_show_says_what_was_resized_and_left_out(show, images):
    (images / "cat" / "notes.txt").write_text("no image")
    Image.new("RGB", (30, 40), "red").save(images / "cat" / "large.jpg")
    Image.new("RGB", (30, 40), "red").save(images / "dog" / "scan.tiff")
    name = f"folder:{images}"
    text = " ".join(show(name).split())
    assert "Images: 9 to train on, 0 to validate, 2 to test on." in text
    assert "no images (1)" in text
    assert "TIFF, which a server cannot decode: convert them to PNG (1)" in text
    assert "Resized to 20x20 by crop: 1 of 11 images (1 of 40x30)." in text
    facts = json.loads(show(name, "--image-size", "24x32", "--channels", "1", "--json"))
    assert facts["image_shape"] == [24, 32, 1]
    assert sum(facts["left_out"].values()) == 2


def test_show_prints_the_facts_and_draws_the_sheet(show, tmp_path):
    facts = json.loads(show("digits", "--json", "--sheet", "deep/sheet.png"))
    dataset = load("digits")
    assert facts["splits"] == {"train": 1295, "validation": 143, "test": 359}
    assert facts["source_splits"] == {"train": 1438, "test": 359}
    assert facts["mean"] == list(dataset.info.mean)
    counts = np.bincount(dataset.train.labels).tolist()
    assert [row["train"] for row in facts["classes"]] == counts
    assert facts["sheet"] == "deep/sheet.png"
    drawn = np.asarray(Image.open(tmp_path / "deep" / "sheet.png"))
    expected = contact_sheet(dataset.train, dataset.info.class_names)
    np.testing.assert_array_equal(drawn, np.asarray(expected))


def test_show_writes_into_the_current_folder_and_says_so(show, images, tmp_path):
    text = show(f"folder:{images}@16")
    (sheet,) = tmp_path.glob("folder_*_My_images_16_sheet.png")
    assert f"Contact sheet: {sheet}" in text
    assert "In the source       train 8, test 2" in text


def test_a_missing_dataset_is_one_sentence_and_exit_code_2(run_cli, tmp_path):
    environment = {**OFFLINE, "TFDS_DATA_DIR": str(tmp_path / "data")}
    done = run_cli("data", "show", "stl10", **environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: Dataset 'stl10' is missing: it was looked for in ")
    assert str(tmp_path / "data" / "stl10") in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_class_may_be_called_like_a_style(show, images):
    (images / "cat").rename(images / "[cat]")
    (images / "dog").rename(images / "[bold]dog")
    text = show(f"folder:{images}")
    assert "[cat]" in text
    assert "[bold]dog" in text
