"""Datasets that are missing: what is prepared where, and what is said when it cannot be."""

import os

import pytest
import requests
import tensorflow_datasets as tfds

from lsp_keras.datasets import load
from lsp_keras.validation import InputError

FEATURES = {
    "image": tfds.features.Image(shape=(8, 8, 3)),
    "label": tfds.features.ClassLabel(num_classes=2),
}


@pytest.fixture
def offline(monkeypatch):
    """No host can be reached."""

    def refuse(url, timeout):
        raise requests.ConnectionError(request=requests.Request("HEAD", url).prepare())

    monkeypatch.setattr(requests, "head", refuse)


@pytest.fixture
def rows(gray):
    return [{"image": gray(value), "label": 0} for value in (1, 2, 3)]


def test_without_a_network_one_sentence_says_what_where_and_how(offline, tmp_path):
    data, cache = tmp_path / "data", tmp_path / "cache"
    with pytest.raises(InputError) as caught:
        load("stl10", data_dir=data, cache_dir=cache)
    assert str(caught.value) == (
        f"Dataset 'stl10' is missing: it was looked for in {data / 'stl10'} and "
        f"{cache / 'tfds' / 'stl10'} and could not be prepared (no connection to "
        "ai.stanford.edu); run this once with a network, or name the folder that holds it "
        "prepared (--data-dir or TFDS_DATA_DIR)."
    )


def test_the_folder_comes_from_the_environment_where_none_is_given(offline, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match=r"looked for in .*elsewhere/svhn_cropped and"):
        load("svhn")


def test_an_archive_that_users_may_fetch_is_named(offline, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    with pytest.raises(InputError, match=f"put tiny-imagenet-200.zip into {manual}, or"):
        load("tiny_imagenet", data_dir=tmp_path)


def test_files_that_tfds_does_not_download_are_named(tmp_path):
    with pytest.raises(InputError, match=r"put into .*manual what TFDS asks for \(.*ILSVRC2012"):
        load("tfds:imagenet2012@64", data_dir=tmp_path)


def test_nothing_is_downloaded_where_that_was_not_allowed(make_tfds, rows, tmp_path):
    name = make_tfds("NotAllowed", FEATURES, {"train": rows, "test": rows})
    with pytest.raises(InputError, match="downloading was not allowed"):
        load(f"tfds:{name}", data_dir=tmp_path, download=False)
    load(f"tfds:{name}", data_dir=tmp_path)
    assert len(load(f"tfds:{name}", data_dir=tmp_path, download=False).train) == 3


def test_an_unknown_name_gets_the_nearest_one(tmp_path):
    with pytest.raises(InputError, match=r"TFDS knows no dataset 'cifar1000'.* mean 'cifar10"):
        load("tfds:cifar1000", data_dir=tmp_path)


def test_what_stops_a_builder_becomes_the_reason(make_tfds, tmp_path, rows):
    name = make_tfds("Stopped", FEATURES, {"train": [{"image": "no such file", "label": 0}]})
    with pytest.raises(InputError, match=r"could not be prepared \(.*no such file"):
        load(f"tfds:{name}", data_dir=tmp_path)


def test_the_cache_is_used_where_the_data_folder_cannot_be_written(
    make_tfds, rows, tmp_path, monkeypatch
):
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    may_access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != data and may_access(path, mode))
    name = make_tfds("ReadOnly", FEATURES, {"train": rows, "test": rows})
    first = load(f"tfds:{name}", data_dir=data, cache_dir=cache)
    assert not list(data.iterdir())
    assert (cache / "tfds" / name / "1.0.0" / "dataset_info.json").exists()
    again = load(f"tfds:{name}", data_dir=data, cache_dir=cache, download=False)
    assert (again.train.images == first.train.images).all()


def test_ready_data_is_read_without_a_word(make_tfds, rows, tmp_path, capfd):
    name = make_tfds("Silent", FEATURES, {"train": rows, "test": rows})
    load(f"tfds:{name}", data_dir=tmp_path)
    prepared = capfd.readouterr()
    assert prepared.out == ""
    assert "Downloading and preparing" in prepared.err
    load(f"tfds:{name}", data_dir=tmp_path)
    assert capfd.readouterr() == ("", "")
