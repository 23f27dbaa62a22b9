"""Reading parts of a split into arrays or mapped files, and pixel statistics."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lsp_keras.datasets._base import OpenSource, SourceSplit
from lsp_keras.datasets._memory import channel_statistics, map_parts, read_parts
from lsp_keras.validation import InputError

SHAPE = (2, 3, 3)
PARTS = (np.array([4, 0, 11, 3, 9]), np.array([10, 1, 2]), np.array([], int))


def make_source(num_images=12, chunk=4, labels=None):
    """Images at positions 100, 102, ...: each holds its position's last two digits."""
    positions = 100 + 2 * np.arange(num_images)
    labels = np.arange(num_images) % 3 if labels is None else labels

    def read(wanted):
        for start in range(0, len(wanted), chunk):
            here = wanted[start : start + chunk]
            values = (here % 100).astype(np.uint8).reshape(-1, 1, 1, 1)
            yield np.broadcast_to(values, (len(here), *SHAPE)), labels[(here - 100) // 2]

    split = SourceSplit(positions, labels, read)
    names = ("a", "b", "c")
    return OpenSource(names, SHAPE, {"train": num_images}, split, split, "1", ""), split


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_parts_get_their_own_images_in_one_pass(chunk):
    source, split = make_source(chunk=chunk)
    for rows, part in zip(PARTS, read_parts(source, split, PARTS), strict=True):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0], 2 * rows)
        np.testing.assert_array_equal(part.labels, rows % 3)
        np.testing.assert_array_equal(part.indices, 100 + 2 * rows)


def test_mapped_files_hold_the_same_and_are_written_once(tmp_path):
    source, split = make_source()
    parts = PARTS[:2]
    expected = read_parts(source, split, parts)
    first = map_parts(source, split, parts, tmp_path)

    def fail(wanted):
        raise AssertionError("read a second time")

    second = map_parts(source, SourceSplit(split.positions, split.labels, fail), parts, tmp_path)
    for right, one, two in zip(expected, first, second, strict=True):
        assert isinstance(one.images, np.memmap)
        for mapped in (one, two):
            np.testing.assert_array_equal(mapped.images, right.images)
            np.testing.assert_array_equal(mapped.labels, right.labels)
            np.testing.assert_array_equal(mapped.indices, right.indices)


@pytest.mark.parametrize("name", ["images_0.npy", "labels_1.npy", "images_1.npy"])
@pytest.mark.parametrize("change", ["missing", "empty", "truncated", "other", "header", "type"])
def test_damaged_files_are_written_again(tmp_path, name, change):
    source, split = make_source()
    expected = read_parts(source, split, PARTS[:2])
    first = map_parts(source, split, PARTS[:2], tmp_path)
    del first
    (path,) = tmp_path.rglob(name)
    content = path.read_bytes()
    path.unlink()
    if change == "other":
        np.save(path, np.zeros((1, 2)))
    elif change == "header":
        # One bit: NumPy ends in an error of Python's tokenizer.
        path.write_bytes(content.replace(b"}", b"|", 1))
    elif change == "type":
        path.write_bytes(content.replace(b"|u1", b"|i1").replace(b"<i8", b"<u8"))
    elif change != "missing":
        path.write_bytes(b"" if change == "empty" else content[:-1])
    for right, mapped in zip(expected, map_parts(source, split, PARTS[:2], tmp_path), strict=True):
        np.testing.assert_array_equal(mapped.images, right.images)
        np.testing.assert_array_equal(mapped.labels, right.labels)
        assert mapped.images.dtype == np.uint8
        assert mapped.labels.dtype == np.int64


def test_of_threads_that_need_the_images_at_once_one_writes_them(tmp_path):
    source, split = make_source()
    reads = []

    def read(wanted):
        reads.append(1)
        time.sleep(0.2)
        yield from split.read(wanted)

    slow = SourceSplit(split.positions, split.labels, read)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: map_parts(source, slow, PARTS[:2], tmp_path), range(4)))
    assert len(reads) == 1
    for parts in results:
        np.testing.assert_array_equal(parts[0].labels, PARTS[0] % 3)


def test_mapped_files_may_be_of_an_empty_part(tmp_path):
    source, split = make_source()
    assert [len(part) for part in map_parts(source, split, PARTS, tmp_path)] == [5, 3, 0]


def test_nothing_is_left_where_reading_fails(tmp_path):
    source, split = make_source(labels=np.full(12, 3))
    with pytest.raises(InputError):
        map_parts(source, split, PARTS, tmp_path / "images")
    assert not list((tmp_path / "images").iterdir())


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(label):
    source, split = make_source(labels=np.full(12, label))
    with pytest.raises(InputError, match=rf"Labels must be in \[0, 3\). Received: {label}"):
        read_parts(source, split, PARTS)


def test_missing_images_are_refused():
    source, split = make_source()
    short = SourceSplit(split.positions, split.labels, lambda wanted: split.read(wanted[:-1]))
    with pytest.raises(InputError, match="Only 7 of 8 images could be read"):
        read_parts(source, short, PARTS)


def test_statistics_equal_those_of_the_float_image():
    images = np.random.default_rng(0).integers(0, 256, (5000, 3, 2, 3), dtype=np.uint8)
    images[..., 1] //= 4
    mean, std = channel_statistics(images)
    pixels = images.reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(0), rtol=1e-12)
