import os
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lsp_keras.augmentations import Crop
from lsp_keras.datasets import load, load_test, make_batches, prepare
from lsp_keras.datasets.prepared.records import RecordImages
from lsp_keras.storage import fingerprint, read_json, write_json
from lsp_keras.stored_images import StoredImages
from lsp_keras.types import NeighborTable
from lsp_keras.validation import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared") / "digits"
    prepare("digits", path)
    return path


@pytest.fixture(scope="module")
def memory():
    return load("digits", num_train=300, num_test=50, seed=3)


@pytest.fixture(scope="module")
def files(folder):
    return load(f"prepared:{folder}", num_train=300, num_test=50, seed=3)


def test_the_same_images_in_the_same_order_with_the_same_facts(memory, files) -> None:
    for name in ("train", "validation", "test"):
        ours, theirs = getattr(memory, name), getattr(files, name)
        assert isinstance(theirs.images, StoredImages)
        np.testing.assert_array_equal(theirs.images[:], ours.images)
        np.testing.assert_array_equal(theirs.labels, ours.labels)
        np.testing.assert_array_equal(theirs.indices, ours.indices)
        assert theirs.images.fingerprint() == fingerprint(ours.images)
    for name in ("class_names", "image_shape", "mean", "std", "augmentation", "split_sizes"):
        assert getattr(files.info, name) == getattr(memory.info, name)


def test_images_are_indexed_as_an_array_is(memory, files) -> None:
    ours, theirs = memory.train.images, files.train.images
    for key in (5, slice(3, 9), np.array([4, 1, 4]), np.array([[2, 0], [7, 2]]), slice(0, 0)):
        np.testing.assert_array_equal(theirs[key], ours[key])
    assert theirs.shape == ours.shape
    np.testing.assert_array_equal(np.asarray(theirs), ours)
    chosen = files.train.select(np.array([8, 2]))
    assert isinstance(chosen.images, StoredImages)
    np.testing.assert_array_equal(chosen.images[:], ours[[8, 2]])


def test_batches_are_the_same_bit_for_bit(memory, files) -> None:
    rng = np.random.default_rng(0)
    table = NeighborTable(rng.integers(0, 300, (300, 3)), rng.random((300, 3), np.float32), {})
    options: dict[str, Any] = {
        "batch_size": 64,
        "shuffle": True,
        "seed": 2,
        "epoch": 1,
        "num_epochs": 2,
    }
    options |= {"augment": Crop(), "neighbors": table, "augment_neighbors": True}
    pairs = zip(
        make_batches(memory.train, **options),
        make_batches(files.train, **options),
        strict=True,
    )
    count = 0
    for ours, theirs in pairs:
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(theirs[name], ours[name], err_msg=name)
        count += 1
    assert count == 10


def test_facts_are_computed_once(folder, files, monkeypatch) -> None:
    fresh = load(f"prepared:{folder}", num_train=300, num_test=50, seed=3)
    monkeypatch.setattr(type(fresh.train.images), "decoded", _fails)
    assert fresh.train.images.fingerprint() == files.train.images.fingerprint()
    assert load(f"prepared:{folder}", num_train=300, num_test=50, seed=3).info == files.info


def _fails(*_):
    raise AssertionError("An image was decoded.")


def test_test_images_are_read_alone(folder, memory) -> None:
    found = load_test(f"prepared:{folder}", num_test=50, seed=3)
    np.testing.assert_array_equal(found.split.images, memory.test.images)


def test_what_cannot_be_is_refused(folder, tmp_path) -> None:
    with pytest.raises(InputError, match="exists already"):
        prepare("digits", folder)
    with pytest.raises(InputError, match="16x16 with 3 channels"):
        load(f"prepared:{folder}@32")
    with pytest.raises(InputError, match="holds no prepared dataset"):
        load(f"prepared:{tmp_path}")


def remove(path):
    path.unlink()


def put_pipe(path):
    path.unlink()
    os.mkfifo(path)


def put_noise(path):
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("damage", [remove, put_pipe, put_noise])
@pytest.mark.parametrize("name", ["train.labels.npy", "test.positions.npy", "prepared.json"])
def test_what_others_wrote_is_checked(folder, tmp_path, name, damage) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy / name)
    with pytest.raises(InputError, match=r"holds no|no record of lsp-keras"):
        load(f"prepared:{copy}")


@pytest.mark.parametrize("damage", [remove, put_pipe])
def test_a_missing_file_of_images_is_named(folder, tmp_path, damage) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    damage(copy / "test.array_record")
    with pytest.raises(InputError, match=r"test\.array_record, .* is no file"):
        load(f"prepared:{copy}")


def test_labels_and_positions_are_as_many(folder, tmp_path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    np.save(copy / "test.positions.npy", np.arange(3))
    with pytest.raises(InputError, match=r"no positions of test: .* shape \(3,\), not 359 rows"):
        load(f"prepared:{copy}")


def test_a_damaged_manifest_is_named(folder, tmp_path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_json(copy / "prepared.json", {"augmentation": None, "image_shape": [16, 16, 3]})
    with pytest.raises(InputError, match="is damaged: it lacks one of 'citation', 'class_names'"):
        load(f"prepared:{copy}")


@pytest.fixture
def photos(tmp_path):
    """A folder of ten pictures, one of which is left out."""
    for name, color in (("cat", "red"), ("dog", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(5):
            Image.new("RGB", (20, 16), color).save(tmp_path / "photos" / name / f"{index}.png")
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def test_it_is_said_first_what_is_written_and_what_is_not(photos, tmp_path) -> None:
    said: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        assert said

    prepare(f"folder:{photos}", tmp_path / "new", progress=progress, announce=said.append)
    (text,) = said
    assert text.splitlines() == [
        f"Data: folder:{photos}, 2 classes, 16x20x3.",
        "  Images: 8 of train, 2 of test.",
        "  Left out: no images (1).",
        "  There is no folder of test images: a fifth of each class is tested on.",
        f"Writing to {tmp_path / 'new'}.",
    ]


def test_a_name_that_reads_as_a_size_is_refused_before_anything_is_written(tmp_path) -> None:
    for size in ("32", "48x64"):
        with pytest.raises(InputError, match=f"images of the size {size}. Name a folder without"):
            prepare("no such dataset", tmp_path / f"photos@{size}")
    assert not list(tmp_path.iterdir())


def test_a_name_that_records_cannot_hold_is_refused(photos, tmp_path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    with pytest.raises(InputError, match="caf\ufffd is no text in UTF-8"):
        prepare(f"folder:{photos}", tmp_path / odd)
    photos.rename(tmp_path / odd)
    with pytest.raises(InputError, match="caf\ufffd is no text in UTF-8"):
        load(f"folder:{tmp_path / odd}")
    (tmp_path / "cafe").symlink_to(tmp_path / odd)
    assert len(load(f"folder:{tmp_path / 'cafe'}").test) == 2


def test_of_two_that_write_one_folder_the_second_is_refused(photos, tmp_path) -> None:
    target = tmp_path / "new"

    def other(stage: str, done: int, total: int) -> None:
        if not target.exists():
            prepare(f"folder:{photos}@32", target)

    with pytest.raises(InputError, match="new exists already"):
        prepare(f"folder:{photos}", target, progress=other)
    assert load(f"prepared:{target}").info.image_shape == (32, 32, 3)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == [
        "new",
        "photos",
    ]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"mean": 1, "std": [1], "fingerprint": ""}'])
def test_damaged_facts_are_made_again(photos, tmp_path, content) -> None:
    dataset = prepare(f"folder:{photos}", tmp_path / "new")
    (path,) = (tmp_path / "new").glob("train.facts-*.json")
    whole = path.read_text()
    path.write_text(content)
    again = load(f"prepared:{tmp_path / 'new'}")
    assert (again.info.mean, again.info.std) == (dataset.info.mean, dataset.info.std)
    assert path.read_text() == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_names", [1, 2]),
        ("class_names", "ab"),
        ("image_shape", [16, 20]),
        ("image_shape", [16, -20, 3]),
        ("image_shape", [16, 20, "3"]),
        ("split_sizes", []),
        ("notes", None),
        ("splits", ["train"]),
        ("splits", ["train", "test", 3]),
        ("augmentation", 3),
    ],
)
def test_a_manifest_of_other_values_is_named(folder, tmp_path, name, value) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    write_json(copy / "prepared.json", read_json(folder / "prepared.json") | {name: value})
    with pytest.raises(InputError, match=f"is damaged: its {name} is none"):
        load(f"prepared:{copy}")


def change_a_bit(content: bytes) -> bytes:
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


@pytest.mark.parametrize(
    "damage", [change_a_bit, lambda content: content[:-9], lambda content: b""]
)
def test_damaged_images_are_named(photos, tmp_path, damage) -> None:
    prepare(f"folder:{photos}", tmp_path / "new")
    path = tmp_path / "new" / "train.array_record"
    path.write_bytes(damage(path.read_bytes()))
    for facts in (tmp_path / "new").glob("*.json"):
        if "facts" in facts.name:
            facts.unlink()
    with pytest.raises(InputError, match=r"train\.array_record is damaged.* Prepare it again"):
        load(f"prepared:{tmp_path / 'new'}")


def test_images_of_another_number_or_shape_are_named(photos, tmp_path) -> None:
    prepare(f"folder:{photos}", tmp_path / "new")
    path = tmp_path / "new" / "train.array_record"
    for places, shape in ((9, (16, 20, 3)), (2, (20, 20, 3))):
        with pytest.raises(InputError, match="holds other images"):
            RecordImages(path, np.arange(places), shape)[:]


def test_a_home_folder_is_the_same_when_it_is_written_and_read(
    photos, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(photos)
    prepare(f"folder:{photos}", "~/new")
    assert (tmp_path / "new" / "prepared.json").is_file()
    assert len(load("prepared:~/new", validation_size=0).train) == 8
