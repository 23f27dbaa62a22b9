"""From a name to a dataset: the record, the limits, the files for what does not fit."""

import io

import numpy as np
import pytest
from PIL import Image

from lsp_keras.datasets import encoded_files, load
from lsp_keras.validation import InputError


def parts(dataset):
    return dataset.train, dataset.validation, dataset.test


def test_the_same_arguments_give_the_same_images():
    first, second = (load("digits", num_train=100, num_test=40, seed=2) for _ in range(2))
    assert first.info == second.info
    for one, two in zip(parts(first), parts(second), strict=True):
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.indices, two.indices)


def test_the_seed_of_the_order_is_recorded():
    assert [load("digits", seed=seed).info.order_seed for seed in (0, 7)] == [0, 7]


def test_limits_choose_subsets_and_statistics_follow_them():
    whole, some = load("digits"), load("digits", num_train=50, num_test=30)
    assert len(some.train) == 50
    assert len(some.test) == 30
    np.testing.assert_array_equal(some.train.indices, whole.train.indices[:50])
    np.testing.assert_array_equal(some.test.indices, whole.test.indices[:30])
    np.testing.assert_array_equal(some.validation.indices, whole.validation.indices)
    np.testing.assert_allclose(some.info.mean[0], some.train.images.mean() / 255, rtol=1e-6)


@pytest.mark.parametrize("count", [10, 37, 200])
def test_the_head_of_every_split_is_a_fair_sample(count):
    whole = load("digits")
    for split in parts(whole):
        share = np.bincount(split.labels, minlength=10) / len(split)
        head = np.bincount(split.take(count).labels, minlength=10)
        assert (abs(head - share * min(count, len(split))) <= 0.5 + 5 * share).all()


def test_the_files_of_test_images_are_found(tmp_path):
    generator = np.random.default_rng(0)
    for index in range(20):
        path = tmp_path / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    name = f"folder:{tmp_path / 'images'}"
    test = load(name).test
    files = encoded_files(name, test)
    assert files is not None
    for file, image in zip(files, test.images, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file))), image)
    assert encoded_files("digits", load("digits").test) is None


def test_no_image_is_in_two_splits():
    positions = np.concatenate([part.indices for part in parts(load("digits", seed=9))])
    assert len(positions) == len(set(positions.tolist())) == 1797


def test_images_over_the_limit_are_mapped_from_the_cache(tmp_path):
    in_memory = load("digits")
    num_bytes = sum(part.images.nbytes for part in parts(in_memory))
    fits = load("digits", cache_dir=tmp_path, memory_limit=num_bytes)
    assert not isinstance(fits.train.images, np.memmap)
    assert not list(tmp_path.iterdir())
    mapped = load("digits", cache_dir=tmp_path, memory_limit=num_bytes - 1)
    assert mapped.info == in_memory.info
    for one, two in zip(parts(mapped), parts(in_memory), strict=True):
        assert isinstance(one.images, np.memmap)
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.labels, two.labels)
    other = load("digits", cache_dir=tmp_path, memory_limit=0, seed=1)
    assert other.train.indices.tolist() != mapped.train.indices.tolist()


def test_a_size_after_the_name_resizes():
    dataset = load("digits@24", num_train=5, num_test=5)
    assert dataset.info.image_shape == dataset.train.images.shape[1:] == (24, 24, 3)
    assert dataset.info.name == "digits@24"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "Unknown dataset: 'digit'. Did you mean 'digits'.* Or tfds:N.* prepared:PATH"),
        ("tfds:", "Unknown dataset: 'tfds:'"),
        ("folder:", "Unknown dataset: 'folder:'"),
        ("zip:images", "Unknown dataset: 'zip:images'"),
        ("digits@0", "image size must be HEIGHTxWIDTH or one number .* Received: '0'"),
        ("digits@big", "Unknown dataset: 'digits@big'"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        load(name)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"image_size": "20x24"}, (20, 24, 3)),
        ({"image_size": 24, "channels": 1}, (24, 24, 1)),
        ({"channels": 1}, (16, 16, 1)),
    ],
)
def test_size_and_channels_may_be_chosen(options, shape):
    dataset = load("digits", num_train=5, num_test=5, **options)
    assert dataset.info.image_shape == dataset.train.images.shape[1:] == shape
    np.testing.assert_array_equal(
        dataset.train.labels, load("digits", num_train=5, num_test=5).train.labels
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "20x"}, "image size must be HEIGHTxWIDTH .* '20x'"),
        ({"image_size": "5000"}, "from 16 to 4096"),
        ({"resize": "squeeze"}, "`resize` must be one of 'crop', 'pad', 'stretch'"),
        ({"channels": 4}, "`channels` must be 1 or 3. Received: channels=4"),
        ({"split_test": "test"}, "digits has no named splits"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        load("digits", **options)


def test_notes_say_what_is_used_and_what_few_validation_images_mean():
    many = load("digits")
    assert many.info.notes == ("Images: 1,295 to train on, 143 to validate, 359 to test on.",)
    few = load("digits", validation_size=4).info.notes
    assert "No validation images of " in few[1]
    assert few[2].startswith("Only 4 validation images choose the epoch that is kept")
    assert "uncertain by 25% either way" in few[2]


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="`seed` must be zero or more"):
        load("digits", seed=-1)
