"""Folders of images: which files, which classes, which splits, and what is refused."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lsp_keras.datasets import load
from lsp_keras.datasets.folders.images import usual_size
from lsp_keras.validation import InputError

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def two_classes(count: int, size=(8, 8)) -> dict:
    files = {f"cat/{index}.png": (RED, size) for index in range(count)}
    return files | {f"dog/{index}.png": (BLUE, size) for index in range(count)}


def test_classes_are_the_folders_in_order_and_a_fifth_of_each_is_tested_on(make_folder):
    files = two_classes(10) | {f"ant/{index}.png": (GREEN, (8, 8)) for index in range(20)}
    dataset = load(f"folder:{make_folder(files)}", validation_size=4)
    assert dataset.info.class_names == ("ant", "cat", "dog")
    assert dict(dataset.info.split_sizes) == {"train": 32, "test": 8}
    assert np.bincount(dataset.test.labels).tolist() == [4, 2, 2]
    assert len(dataset.train) == 28
    colors = np.array([GREEN, RED, BLUE])
    for split in (dataset.train, dataset.validation, dataset.test):
        np.testing.assert_array_equal(split.images[:, 0, 0], colors[split.labels])
    positions = [split.indices for split in (dataset.train, dataset.validation, dataset.test)]
    assert sorted(np.concatenate(positions).tolist()) == list(range(40))


def test_the_test_cut_does_not_depend_on_the_seed(make_folder):
    name = f"folder:{make_folder(two_classes(10))}"
    first, second = (load(name, seed=seed) for seed in (0, 1))
    assert sorted(first.test.indices) == sorted(second.test.indices)


def test_train_and_test_folders_are_the_splits(make_folder):
    files = {f"train/{name}": value for name, value in two_classes(3).items()}
    files["test/dog/only.png"] = (BLUE, (8, 8))
    dataset = load(f"folder:{make_folder(files)}", validation_size=0)
    assert dict(dataset.info.split_sizes) == {"train": 6, "test": 1}
    assert dataset.test.labels.tolist() == [1]
    assert dataset.test.indices.tolist() == [6]
    np.testing.assert_array_equal(dataset.test.images[0, 0, 0], BLUE)


def test_a_folder_train_alone_is_split_and_among_others_is_a_class(make_folder):
    files = {f"train/{name}": value for name, value in two_classes(5).items()}
    folder = make_folder(files)
    assert load(f"folder:{folder}").info.class_names == ("cat", "dog")
    folder = make_folder(
        {f"vehicles/{kind}/{i}.png": (RED, (8, 8)) for kind in ("bus", "train") for i in range(5)}
    )
    assert load(f"folder:{folder / 'vehicles'}").info.class_names == ("bus", "train")


def test_images_take_the_usual_size_or_the_one_that_is_named(make_folder):
    files = two_classes(4, (24, 20)) | {"cat/large.png": (RED, (60, 50))}
    folder = make_folder(files)
    dataset = load(f"folder:{folder}")
    assert dataset.info.image_shape == (20, 24, 3)
    assert any(
        note.startswith("Resized to 20x24 by crop: 1 of 9 images (1 of 50x60). --image-size")
        for note in dataset.info.notes
    )
    dataset = load(f"folder:{folder}@16")
    assert dataset.train.images.shape[1:] == (16, 16, 3)
    assert (dataset.train.images[dataset.train.labels == 0] == RED).all()


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({(48, 64): 3, (64, 48): 1}, (48, 64)),
        # No size is common: the square of the median shorter side.
        ({(48, 64): 1, (64, 40): 1, (30, 30): 1}, (40, 40)),
        # Photographs are shrunk, thumbnails are enlarged.
        ({(3000, 4000): 2}, (64, 85)),
        ({(8, 12): 2}, (16, 24)),
        # Two sizes for half of the images each: the larger one.
        ({(32, 32): 5, (48, 48): 5}, (48, 48)),
    ],
)
def test_the_usual_size_is_that_of_half_of_the_images_within_reason(sizes, expected):
    assert usual_size(sizes) == expected


@pytest.mark.parametrize(
    ("resize", "columns"),
    [
        # A picture of 16x32 whose halves are red and blue, brought to 16x16.
        ("crop", [RED] * 8 + [BLUE] * 8),
        ("stretch", [RED] * 7 + [None] * 2 + [BLUE] * 7),
        ("pad", [RED] * 7 + [None] * 2 + [BLUE] * 7),
    ],
)
def test_resizing_crops_pads_or_stretches(make_folder, resize, columns):
    folder = make_folder(two_classes(5, (32, 16)))
    for path in folder.rglob("*.png"):
        picture = Image.new("RGB", (32, 16), RED)
        picture.paste(BLUE, (16, 0, 32, 16))
        picture.save(path)
    dataset = load(f"folder:{folder}", image_size=16, resize=resize)
    assert dataset.info.resize == resize
    image = dataset.test.images[0]
    for column, color in enumerate(columns):
        assert color is None or (image[8, column] == color).all()
    # Only padding leaves margins.
    assert (image[[0, -1]] == 0).all() == (resize == "pad")


def test_pipes_devices_and_links_to_nothing_are_counted_and_never_opened(make_folder):
    folder = make_folder(two_classes(5, (16, 16)))
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "cat" / "zero.jpg").symlink_to("/dev/zero")
    (folder / "dog" / "gone.bmp").symlink_to(folder / "nowhere.bmp")
    (folder / "dog" / "loop.gif").symlink_to(folder / "dog" / "loop.gif")
    (folder / "dog" / "folder.png").mkdir()
    dataset = load(f"folder:{folder}", validation_size=0)
    assert len(dataset.train) + len(dataset.test) == 10
    assert dataset.info.left_out == {"no files but pipes, devices or links to nothing": 4}


def test_links_to_folders_above_bring_no_image_twice(make_folder):
    folder = make_folder(two_classes(5, (16, 16)))
    (folder / "cat" / "up").symlink_to(folder)
    (folder / "cat" / "same").symlink_to(folder / "cat")
    (folder / "dog" / "top").symlink_to("/")
    dataset = load(f"folder:{folder}", validation_size=0)
    for split in (dataset.train, dataset.test):
        colors = np.array([RED, BLUE])[split.labels]
        np.testing.assert_array_equal(split.images[:, 0, 0], colors)
    assert len(dataset.train) + len(dataset.test) == 10


def test_folders_within_classes_are_read_and_all_else_is_counted(make_folder):
    files = {f"cat/{index}.png": (RED, (16, 16)) for index in range(5)}
    files |= {f"cat/day{day}/{index}.png": (RED, (16, 16)) for day in (1, 2) for index in range(5)}
    files |= {f"dog/{index}.png": (BLUE, (16, 16)) for index in range(5)}
    files |= {"dog/._0.png": (GREEN, (16, 16)), "__MACOSX/cat/x.png": (GREEN, (16, 16))}
    files |= {"dog/a.tif": (GREEN, (16, 16)), "dog/b.webp": (GREEN, (16, 16))}
    files |= {"loose.png": (GREEN, (16, 16))}
    folder = make_folder(files)
    for name in ("cat/day1/notes.txt", "dog/Thumbs.db", ".hidden"):
        (folder / name).write_text("no image")
    for suffix in ("jfif", "JPE"):
        Image.new("RGB", (16, 16), BLUE).save(folder / "dog" / f"z.{suffix}", "JPEG")
    # A name may be wrong: what the file holds counts.
    Image.new("RGB", (16, 16), GREEN).save(folder / "dog" / "named.png", "TIFF")
    dataset = load(f"folder:{folder}", validation_size=0)
    assert dataset.info.class_names == ("cat", "dog")
    pixels = np.concatenate([dataset.train.images, dataset.test.images])
    assert len(pixels) == 22
    assert abs(pixels[:, 0, 0].astype(int)[:, 1]).max() < 5
    convert = "which a server cannot decode: convert them to PNG"
    assert dataset.info.left_out == {
        "hidden or left by an archive": 4,
        "beside the folders of classes": 1,
        "no images": 1,
        f"TIF, {convert}": 1,
        f"WEBP, {convert}": 1,
        f"TIFF, {convert}": 1,
    }
    assert any("no images (1)" in note for note in dataset.info.notes)
    num_files = sum(path.is_file() for path in folder.rglob("*"))
    assert len(pixels) + sum(dataset.info.left_out.values()) == num_files


@pytest.mark.parametrize("name", ["val", "Valid", "validation"])
def test_usual_names_of_splits_are_understood(make_folder, name):
    parts = {"training": 6, name: 2, "Test": 3}
    files = {
        f"{part}/{label}/{index}.png": ((index, 50, 90), (16, 16))
        for part, count in parts.items()
        for label in ("cat", "dog")
        for index in range(count)
    }
    dataset = load(f"folder:{make_folder(files)}")
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [12, 4, 6]
    assert dict(dataset.info.split_sizes) == {"train": 12, "validation": 4, "test": 6}


def test_validation_is_tested_on_where_there_is_no_test_folder(make_folder):
    files = {f"train/{path}": value for path, value in two_classes(6).items()}
    files |= {f"val/{path}": (GREEN, (8, 8)) for path in two_classes(2)}
    dataset = load(f"folder:{make_folder(files)}", validation_size=2)
    assert (dataset.test.images == GREEN).all()
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [10, 2, 4]
    assert "There is no folder test: the folder val is tested on." in dataset.info.notes


def test_splits_may_be_named_and_ambiguous_ones_must(make_folder):
    parts = ("train", "val", "valid")
    files = {f"{part}/{path}": v for part in parts for path, v in two_classes(3).items()}
    folder = make_folder(files)
    with pytest.raises(InputError, match="several folders for validation images: val, valid"):
        load(f"folder:{folder}")
    dataset = load(f"folder:{folder}", split_test="valid", validation_size=0)
    assert [len(dataset.train), len(dataset.test)] == [6, 6]
    assert dataset.info.left_out == {"beside the folders of classes": 6}
    with pytest.raises(InputError, match=r"no folder .*tset\. .* holds: train, val, valid"):
        load(f"folder:{folder}", split_test="tset")


def test_a_split_that_lacks_a_class_is_named(make_folder):
    files = {f"train/{path}": value for path, value in two_classes(20).items()}
    files |= {"test/dog/1.png": (BLUE, (8, 8))}
    dataset = load(f"folder:{make_folder(files)}", validation_size=1)
    assert "No test images of cat." in dataset.info.notes
    assert sum(note.startswith("No validation images of ") for note in dataset.info.notes) == 1


def test_a_class_name_is_one_line(make_folder):
    folder = make_folder(two_classes(5) | {f"big\ncat/{i}.png": (RED, (8, 8)) for i in range(5)})
    assert load(f"folder:{folder}").info.class_names == ("big cat", "cat", "dog")
    (folder / "big cat").mkdir()
    with pytest.raises(InputError, match=r"2 folders in .* stand for the class 'big cat'"):
        load(f"folder:{folder}")


def test_gray_folders_keep_one_channel_unless_told_otherwise(make_folder):
    folder = make_folder(two_classes(5))
    for path in folder.rglob("*.png"):
        Image.new("L", (16, 16), 90).save(path)
    dataset = load(f"folder:{folder}")
    assert dataset.info.image_shape == (16, 16, 1)
    assert any("--channels 3 makes them RGB" in note for note in dataset.info.notes)
    assert load(f"folder:{folder}", channels=3).info.image_shape == (16, 16, 3)


def test_grayscale_palette_and_transparent_images_become_rgb(make_folder):
    folder = make_folder(two_classes(5))
    Image.new("L", (8, 8), 77).save(folder / "cat" / "gray.png")
    Image.new("RGB", (8, 8), GREEN).quantize().save(folder / "cat" / "palette.gif")
    Image.new("RGBA", (8, 8), (9, 8, 7, 255)).save(folder / "cat" / "alpha.PNG")
    (folder / "cat" / "notes.txt").write_text("passed over")
    dataset = load(f"folder:{folder}", validation_size=0)
    pixels = np.concatenate([dataset.train.images, dataset.test.images])[:, 0, 0]
    expected = [RED] * 5 + [BLUE] * 5 + [(77, 77, 77), GREEN, (9, 8, 7)]
    assert sorted(map(tuple, pixels.tolist())) == sorted(expected)
    assert "1 of 13 images are gray and become RGB." in dataset.info.notes


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_damaged_file_is_named(make_folder, content):
    folder = make_folder(two_classes(5))
    victim = folder / "dog" / "3.png"
    # Cut off in the middle of the pixels: the header alone is still good.
    victim.write_bytes(victim.read_bytes()[:-30] if content is None else content)
    for size in ("", "@18"):
        with pytest.raises(InputError, match=r"dog/3.png cannot be read as an image .* remove it"):
            load(f"folder:{folder}{size}")


def test_of_16_bits_the_upper_8_are_kept(make_folder):
    folder = make_folder({f"train/{path}": value for path, value in two_classes(3).items()})
    (folder / "test" / "dog").mkdir(parents=True)
    deep = Image.fromarray(np.full((16, 16), 4000, np.uint16))
    deep.save(folder / "test" / "dog" / "deep.png")
    dataset = load(f"folder:{folder}")
    assert (dataset.test.images == 4000 // 256).all()


def test_an_empty_class_is_named(make_folder):
    folder = make_folder(two_classes(5))
    (folder / "eel").mkdir()
    with pytest.raises(InputError, match=r"images/eel holds no images \(.bmp, .dib, .gif"):
        load(f"folder:{folder}")


def test_a_file_that_claims_a_large_image_is_named_with_the_limit(make_folder):
    folder = make_folder(two_classes(5))
    victim = folder / "dog" / "3.png"
    contents = bytearray(victim.read_bytes())
    contents[16:24] = struct.pack(">II", 9000, 9000)
    contents[29:33] = struct.pack(">I", zlib.crc32(contents[12:29]))
    victim.write_bytes(contents)
    message = r"dog/3.png cannot be read as an image \(An image may have 67108864 pixels"
    with pytest.raises(InputError, match=message):
        load(f"folder:{folder}")


def test_a_folder_within_the_folder_is_pointed_out(make_folder):
    files = {f"data/train/{name}": value for name, value in two_classes(3).items()}
    folder = make_folder(files | {"data/test/cat/1.png": (RED, (8, 8))})
    with pytest.raises(InputError, match=rf"Is folder:{folder / 'data'} meant"):
        load(f"folder:{folder}")


def test_classes_that_look_like_splits_are_pointed_out(make_folder):
    files = {f"{split}/{name}": value for split in "ab" for name, value in two_classes(5).items()}
    dataset = load(f"folder:{make_folder(files)}")
    assert dataset.info.class_names == ("a", "b")
    (note,) = [note for note in dataset.info.notes if "If they are splits" in note]
    assert note.startswith("The classes a, b hold folders of the same names (cat, dog).")


def test_folders_that_hold_no_classes_are_refused(make_folder, tmp_path):
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        load(f"folder:{tmp_path / 'nowhere'}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"at least two folders of images.* It holds 0"):
        load(f"folder:{empty}")
    with pytest.raises(InputError, match=r"at least two folders of images.* It holds 1"):
        load(f"folder:{make_folder({'cat/1.png': (RED, (8, 8))})}")


def test_classes_to_test_on_must_be_trained_on(make_folder):
    files = {f"train/{name}": value for name, value in two_classes(3).items()}
    files["test/emu/1.png"] = (BLUE, (8, 8))
    with pytest.raises(InputError, match=r"test has classes that .*train lacks: emu"):
        load(f"folder:{make_folder(files)}")


def test_too_few_images_for_a_test_split_are_refused(make_folder):
    with pytest.raises(InputError, match="4 images are too few to cut a test split from"):
        load(f"folder:{make_folder(two_classes(2))}")


def test_mapped_images_are_written_again_when_a_file_changes(make_folder, tmp_path):
    folder = make_folder(two_classes(5))
    options = {"memory_limit": 1, "cache_dir": tmp_path / "cache", "validation_size": 0}
    before = load(f"folder:{folder}", **options)
    assert (before.train.images[before.train.labels == 1] == BLUE).all()
    for index in range(5):
        Image.new("RGB", (8, 8), GREEN).save(folder / "dog" / f"{index}.png")
    after = load(f"folder:{folder}", **options)
    assert (after.train.images[after.train.labels == 1] == GREEN).all()


@pytest.mark.parametrize(
    ("others", "left_out", "then"),
    [
        ({"test/loose.png": (RED, (8, 8))}, r"test", "--split-train train; then a fifth"),
        ({"valid/": None}, r"valid", "--split-train train; then a fifth"),
        (
            {"valid/": None, "test/cat/1.png": (RED, (8, 8))},
            r"valid",
            "--split-train train --split-test test; then validation images are cut",
        ),
        (
            {"val/cat/1.png": (RED, (8, 8)), "test/unknown/1.png": (RED, (8, 8))},
            r"test",
            "--split-train train; then a fifth",
        ),
    ],
)
def test_a_split_without_images_of_a_class_is_refused_and_can_be_left_out(
    make_folder, others, left_out, then
):
    files = {f"train/{path}": value for path, value in two_classes(6).items()}
    folder = make_folder(files | {name: value for name, value in others.items() if value})
    for name in others:
        (folder / name).parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            (folder / name).mkdir()
    with pytest.raises(InputError, match=rf"{folder / left_out} (holds no|has classes).*{then}"):
        load(f"folder:{folder}")
    dataset = load(f"folder:{folder}", split_train="train", validation_size=0)
    assert [len(dataset.train), len(dataset.test)] == [10, 2]


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0", b"Exif\0\0junkjunk"])
def test_damaged_exif_says_nothing_of_how_a_picture_lies(make_folder, exif):
    folder = make_folder(two_classes(5, (24, 16)))
    for place in ("cat", "dog"):
        picture = Image.new("RGB", (24, 16), GREEN)
        picture.save(folder / place / "phone.jpg", dpi=(72, 72), exif=exif)
    dataset = load(f"folder:{folder}", validation_size=0)
    assert len(dataset.train) + len(dataset.test) == 12
    assert dataset.info.image_shape == (16, 24, 3)


def test_names_need_not_be_utf_8(make_folder):
    folder = make_folder(two_classes(5))
    odd = folder / "cat" / os.fsdecode(b"caf\xe9.png")
    (folder / "cat" / "0.png").rename(odd)
    (folder / "dog").rename(folder / os.fsdecode(b"d\xf6g"))
    dataset = load(f"folder:{folder}", validation_size=0)
    assert dataset.info.class_names == ("cat", "d\ufffdg")
    assert len(dataset.train) + len(dataset.test) == 10
    odd.write_bytes(b"no image")
    with pytest.raises(InputError, match="cannot be read as an image"):
        load(f"folder:{folder}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
@pytest.mark.parametrize("name", ["cat/private", "dog"])
def test_a_folder_that_may_not_be_read_is_named(make_folder, name):
    folder = make_folder(two_classes(5) | {"cat/private/1.png": (RED, (8, 8))})
    (folder / "lost+found").mkdir(mode=0o000)
    (folder / name).chmod(0o000)
    try:
        with pytest.raises(InputError, match=rf"{folder / name} cannot be read \(Permission"):
            load(f"folder:{folder}")
    finally:
        (folder / name).chmod(0o700)
    assert load(f"folder:{folder}").info.class_names == ("cat", "dog")


def test_a_folder_whose_name_ends_like_a_size_is_pointed_out(make_folder, tmp_path):
    whole = make_folder(two_classes(5)).rename(tmp_path / "photos@32")
    with pytest.raises(InputError, match=rf"there is no {tmp_path / 'photos'}\. Rename the folder"):
        load(f"folder:{whole}")
    assert load(f"folder:{whole}@16").info.image_shape == (16, 16, 3)


def test_validation_images_beyond_the_usual_number_are_said_to_be_unused(make_folder):
    parts = {"train": 5, "val": 4, "test": 2}
    files = {f"{part}/{p}": v for part, n in parts.items() for p, v in two_classes(n).items()}
    dataset = load(f"folder:{make_folder(files)}", validation_size=6)
    assert "Of the 8 validation images 2 are not used: --validation-size takes more." in (
        dataset.info.notes
    )
