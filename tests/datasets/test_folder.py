"""Folders of images: which files, which classes, which splits, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from lsp_keras.datasets import load
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
    np.testing.assert_array_equal(first.test.indices, second.test.indices)


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


def test_images_take_the_usual_side_or_the_one_that_is_named(make_folder):
    files = two_classes(4, (12, 10)) | {"cat/large.png": (RED, (40, 30))}
    folder = make_folder(files)
    assert load(f"folder:{folder}").info.image_shape == (10, 10, 3)
    dataset = load(f"folder:{folder}@6")
    assert dataset.train.images.shape[1:] == (6, 6, 3)
    assert (dataset.train.images[dataset.train.labels == 0] == RED).all()


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


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_a_damaged_file_is_named(make_folder, content):
    folder = make_folder(two_classes(5))
    victim = folder / "dog" / "3.png"
    # Cut off in the middle of the pixels: the header alone is still good.
    victim.write_bytes(victim.read_bytes()[:-30] if content is None else content)
    for size in ("", "@8"):
        with pytest.raises(InputError, match=r"dog/3.png cannot be read as an image .* remove it"):
            load(f"folder:{folder}{size}")


def test_images_with_16_bits_are_refused_by_name(make_folder):
    folder = make_folder(two_classes(5))
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(folder / "dog" / "deep.png")
    with pytest.raises(InputError, match=r"deep.png has more than 8 bits per channel"):
        load(f"folder:{folder}")


def test_an_empty_class_is_named(make_folder):
    folder = make_folder(two_classes(5))
    (folder / "eel").mkdir()
    with pytest.raises(InputError, match=r"images/eel holds no images \(.bmp, .gif"):
        load(f"folder:{folder}")


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
