"""Datasets of TFDS: what is read, in which order, and what is refused."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from lsp_keras.datasets import load
from lsp_keras.validation import InputError

IMAGE = tfds.features.Image(shape=(8, 8, 3))
LABEL = tfds.features.ClassLabel(names=["low", "high"])


def load_by_position(name, folder, **options):
    """All images of a dataset whose pixel values tell them apart, by source position."""
    dataset = load(f"tfds:{name}", data_dir=folder, validation_size=0, **options)
    return dict(zip(dataset.train.indices.tolist(), dataset.train.images[:, 0, 0, 0], strict=True))


def stored(file: io.BytesIO) -> list:
    """Examples that TFDS stores as the file that it gets."""
    return [{"image": io.BytesIO(file.getvalue()), "label": 0} for _ in range(3)]


def write_info(folder, name, sizes):
    """What TFDS writes beside the images, which its mock data stands in for."""
    builder = tfds.builder(name, data_dir=folder)
    splits = [
        tfds.core.SplitInfo(name=split, shard_lengths=[size], num_bytes=0)
        for split, size in sizes.items()
    ]
    builder.info.set_splits(tfds.core.splits.SplitDict(splits))
    builder.data_path.mkdir(parents=True)
    builder.info.write_to_directory(builder.data_path)


def test_images_labels_and_facts_are_those_of_the_builder(make_tfds, gray, tmp_path):
    rows = [{"image": gray(value), "label": int(value >= 50)} for value in range(0, 100, 5)]
    name = make_tfds(
        "PlainGrays",
        {"image": IMAGE, "label": LABEL},
        {"train": rows, "test": rows[:4], "extra": rows[:2]},
        supervised_keys=("image", "label"),
        citation="@misc{grays}",
    )
    dataset = load(f"tfds:{name}", data_dir=tmp_path, validation_size=5)
    assert dataset.info.class_names == ("low", "high")
    assert dataset.info.image_shape == (8, 8, 3)
    assert dict(dataset.info.split_sizes) == {"train": 20, "test": 4, "extra": 2}
    assert dataset.info.citation == "@misc{grays}"
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [15, 5, 4]
    for part in (dataset.train, dataset.validation):
        np.testing.assert_array_equal(part.labels, part.images[:, 3, 3, 1] >= 50)
    values = np.concatenate([dataset.train.images, dataset.validation.images])[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(0, 100, 5))
    expected = dataset.train.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(dataset.info.mean, expected.mean(0), rtol=1e-12)
    np.testing.assert_allclose(dataset.info.std, expected.std(0), rtol=1e-12)


def test_a_position_means_the_same_image_whatever_else_is_read(make_tfds, gray, tmp_path):
    rows = [{"image": gray(value), "label": 0} for value in range(60)]
    name = make_tfds(
        "PositionGrays", {"image": IMAGE, "label": LABEL}, {"train": rows, "test": rows}
    )
    whole = load_by_position(name, tmp_path)
    some = load_by_position(name, tmp_path, num_train=7, seed=3)
    assert len(some) == 7
    assert some == {position: whole[position] for position in some}


def test_validation_is_tested_on_where_test_labels_are_secret(make_tfds, gray, tmp_path):
    rows = [{"image": gray(value), "label": 1} for value in (7, 8, 9)]
    name = make_tfds(
        "SecretGrays", {"image": IMAGE, "label": LABEL}, {"train": rows, "validation": rows[:2]}
    )
    dataset = load(f"tfds:{name}", data_dir=tmp_path)
    assert sorted(dataset.test.images[:, 0, 0, 0].tolist()) == [7, 8]


def test_images_of_different_sizes_need_a_size(make_tfds, tmp_path):
    rows = [
        {"image": np.full((height, 6, 3), 10 * height, np.uint8), "label": 0}
        for height in (4, 8, 12)
    ]
    name = make_tfds(
        "SizedGrays",
        {"image": tfds.features.Image(), "label": LABEL},
        {"train": rows, "test": rows},
    )
    with pytest.raises(InputError, match=rf"differ in size.*'tfds:{name}@64'"):
        load(f"tfds:{name}", data_dir=tmp_path)
    dataset = load(f"tfds:{name}@20", data_dir=tmp_path)
    assert dataset.info.image_shape == (20, 20, 3)
    assert dataset.info.name == f"tfds:{name}@20"
    assert sorted(dataset.test.images[:, 4, 4, 2].tolist()) == [40, 80, 120]


def test_grayscale_images_keep_their_one_channel(make_tfds, tmp_path):
    rows = [{"image": np.full((8, 8, 1), value, np.uint8), "label": 0} for value in (1, 2)]
    name = make_tfds(
        "OneChannelGrays",
        {"image": tfds.features.Image(shape=(8, 8, 1)), "label": LABEL},
        {"train": rows, "test": rows},
    )
    dataset = load(f"tfds:{name}", data_dir=tmp_path)
    assert dataset.info.image_shape == (8, 8, 1)
    assert len(dataset.info.mean) == len(dataset.info.std) == 1


MANY_LABELS = {"image": IMAGE, "labels": tfds.features.Sequence(LABEL)}
NO_IMAGE = {"text": tfds.features.Text(), "label": LABEL}
WIDE_IMAGE = {"image": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint16), "label": LABEL}
REFUSED = {
    "ManyLabels": (MANY_LABELS, r"not for image classification.*labels \(Sequence\)"),
    "NoImage": (NO_IMAGE, r"not for image classification.*text \(Text\)"),
    "WideImage": (WIDE_IMAGE, "must be uint8 with 1 or 3 channels"),
}


@pytest.mark.parametrize("stem", REFUSED)
def test_what_is_not_image_classification_is_refused(stem, make_tfds, tmp_path):
    features, message = REFUSED[stem]
    name = make_tfds(stem, features, {"train": [], "test": []})
    write_info(tmp_path, name, {"train": 3, "test": 3})
    with pytest.raises(InputError, match=message) as caught:
        load(f"tfds:{name}", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_splits_are_needed_to_train_and_to_test_on(make_tfds, gray, tmp_path):
    rows = [{"image": gray(1), "label": 0}] * 3
    name = make_tfds("OneSplit", {"image": IMAGE, "label": LABEL}, {"train": rows})
    with pytest.raises(InputError, match=r"splits 'train' and 'test' or 'validation'.*has: train"):
        load(f"tfds:{name}", data_dir=tmp_path)


def test_images_without_labels_are_refused(make_tfds, gray, tmp_path):
    rows = [{"image": gray(1), "label": -1}] * 3
    name = make_tfds("Unlabeled", {"image": IMAGE, "label": LABEL}, {"train": rows, "test": rows})
    with pytest.raises(InputError, match=r"No image of test has a label\. Name others by --split-"):
        load(f"tfds:{name}", data_dir=tmp_path)


def test_secret_test_labels_make_validation_the_test_split(make_tfds, gray, tmp_path):
    known = [{"image": gray(value), "label": value % 2} for value in range(12)]
    secret = [{"image": gray(200), "label": -1}] * 3
    name = make_tfds(
        "HalfSecret",
        {"image": IMAGE, "label": LABEL},
        {"train": known + secret, "validation": known[:6], "test": secret},
    )
    dataset = load(f"tfds:{name}", data_dir=tmp_path, validation_size=2)
    assert sorted(dataset.test.images[:, 0, 0, 0].tolist()) == list(range(6))
    assert [len(dataset.train), len(dataset.validation)] == [10, 2]
    assert (dataset.train.images < 200).all()
    assert dataset.info.left_out == {"no label, in the split train": 3}
    assert "The labels of the split test are secret: validation is tested on." in dataset.info.notes
    assert "The split test of 3 images is not used." in dataset.info.notes


def test_a_split_for_validation_chooses_the_epoch(make_tfds, gray, tmp_path):
    rows = [{"image": gray(value), "label": value % 2} for value in range(30)]
    name = make_tfds(
        "ThreeSplits",
        {"image": IMAGE, "label": LABEL},
        {"train": rows[:20], "validation": rows[20:26], "test": rows[26:]},
    )
    dataset = load(f"tfds:{name}", data_dir=tmp_path)
    values = [
        sorted(part.images[:, 0, 0, 0].tolist())
        for part in (dataset.train, dataset.validation, dataset.test)
    ]
    assert values == [list(range(20)), list(range(20, 26)), list(range(26, 30))]


def test_splits_may_be_named(make_tfds, gray, tmp_path):
    rows = [{"image": gray(value), "label": value % 2} for value in range(30)]
    name = make_tfds(
        "NamedSplits", {"image": IMAGE, "label": LABEL}, {"labeled": rows, "held_out": rows[:4]}
    )

    def values(**options):
        dataset = load(f"tfds:{name}", data_dir=tmp_path, validation_size=0, **options)
        parts = (dataset.train, dataset.test)
        return [sorted(part.images[:, 0, 0, 0].tolist()) for part in parts]

    assert values(split_train="labeled", split_test="held_out") == [list(range(30)), [0, 1, 2, 3]]
    train, test = values(split_train="labeled[:20]", split_test="labeled[20:]")
    assert sorted(train + test) == list(range(30))
    with pytest.raises(InputError, match=r"has no split 'tset'\. It has: labeled, held_out"):
        values(split_train="labeled", split_test="tset")
    with pytest.raises(InputError, match="would be tested on the images it is trained on"):
        values(split_train="labeled", split_test="labeled")


def test_stored_files_are_decoded_as_served_ones_are(make_tfds, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    feature = tfds.features.Image(shape=(8, 8, 3), encoding_format="jpeg")
    splits = {"train": stored(buffer), "test": stored(buffer)}
    name = make_tfds("JpegFiles", {"image": feature, "label": LABEL}, splits)
    dataset = load(f"tfds:{name}", data_dir=tmp_path)
    # Pillow has a decoder of its own.
    np.testing.assert_array_equal(dataset.test.images[0], np.asarray(Image.open(buffer)))


def test_an_image_of_another_size_than_the_info_says_is_refused(make_tfds, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 9), (10, 20, 30)).save(buffer, "PNG")
    splits = {"train": stored(buffer), "test": stored(buffer)}
    name = make_tfds("WrongSize", {"image": IMAGE, "label": LABEL}, splits)
    with pytest.raises(InputError, match=r"is not 8x8, as the .*: --image-size 16x16"):
        load(f"tfds:{name}", data_dir=tmp_path)
    dataset = load(f"tfds:{name}", data_dir=tmp_path, image_size="16x16")
    assert (dataset.test.images == (10, 20, 30)).all()


def test_damaged_files_are_named(make_tfds, gray, tmp_path):
    rows = [{"image": gray(1), "label": 0}] * 3
    name = make_tfds("Damaged", {"image": IMAGE, "label": LABEL}, {"train": rows, "test": rows})
    load(f"tfds:{name}", data_dir=tmp_path)
    (file,) = (tmp_path / name / "1.0.0").glob("*train.tfrecord*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}/1.0.0 cannot be read .* prepare it again"):
        load(f"tfds:{name}", data_dir=tmp_path)


def test_class_names_of_cifar10_are_known_where_the_files_have_none(tmp_path):
    write_info(tmp_path, "cifar10", {"train": 30, "test": 30})
    with tfds.testing.mock_data(num_examples=30, data_dir=str(tmp_path)):
        dataset = load("cifar10", data_dir=tmp_path, num_test=5)
    assert dataset.info.class_names[0] == "airplane"
    assert dataset.info.class_names[9] == "truck"


def test_stl10_is_read_without_its_unlabeled_images(tmp_path):
    write_info(tmp_path, "stl10", {"train": 20, "test": 20, "unlabelled": 1000})
    with tfds.testing.mock_data(num_examples=20, data_dir=str(tmp_path)):
        dataset = load("stl10", data_dir=tmp_path)
    assert dataset.info.image_shape == (96, 96, 3)
    assert dataset.info.augmentation == "crop_flip"
    assert dict(dataset.info.split_sizes) == {"train": 20, "test": 20, "unlabelled": 1000}
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [18, 2, 20]
