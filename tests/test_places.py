import pathlib

import pytest

from lsp_keras import datasets
from lsp_keras.places import address, check_local, place, publish, scheme_of
from lsp_keras.processes import locked
from lsp_keras.runs import FitConfig
from lsp_keras.storage import atomic_path, scratch_folder
from lsp_keras.validation import InputError
from lsp_keras.zoo import locate


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("gs://bucket/x", "gs"),
        (pathlib.Path("gs://bucket/x"), "gs"),
        ("S3://bucket/x", "s3"),
        ("models/x", None),
        ("/models/gs:/x", None),
        ("gs://", "gs"),
        ("gs:///x", "gs"),
        ("file:///x", "file"),
        ("C:/models", None),
        ("folder:photos", None),
    ],
)
def test_an_address_is_told_from_a_path(path, scheme) -> None:
    assert scheme_of(path) == scheme


def test_both_slashes_come_back() -> None:
    assert address(pathlib.Path("gs://bucket/x")) == "gs://bucket/x"
    assert address("models/x") == "models/x"


def test_nothing_is_written_to_a_folder_called_like_a_scheme(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for write in (
        lambda path: atomic_path(path),
        lambda path: scratch_folder(path),
        lambda path: locked(path, "It"),
    ):
        for path in ("gs://bucket/x", pathlib.Path("gs://bucket/x")):
            with pytest.raises(InputError, match="gs://bucket/x lies in a store"), write(path):
                pass
    assert list(tmp_path.iterdir()) == []
    check_local(tmp_path)


def test_an_unknown_store_is_refused_with_what_is_known() -> None:
    with pytest.raises(InputError, match="no library here knows nowhere://; gs://"):
        place("nowhere://bucket/x")


def test_a_store_that_nothing_reads_is_refused_with_what_to_install() -> None:
    # What knows of s3 is not TensorFlow's file system.
    with pytest.raises(InputError, match=r"s3fs") as caught:
        place("s3://bucket/x")
    assert "not implemented" not in str(caught.value)


@pytest.mark.parametrize("path", ["gs://", "gs:///", "s3://"])
def test_a_store_without_a_bucket_is_refused(path) -> None:
    with pytest.raises(InputError, match="names no bucket"):
        place(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file:///tmp/x", "leave out the file://"),
        ("http://host/v1/models/m", "name it by --url"),
        ("gs://", "lies in a store"),
    ],
)
def test_what_is_no_path_is_refused_with_what_to_do(path, message) -> None:
    with pytest.raises(InputError, match=message):
        check_local(path)


def test_data_folders_and_models_are_paths(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for use in (
        lambda: datasets.load("digits", data_dir="gs://bucket/x"),
        lambda: datasets.load("prepared:gs://bucket/x"),
        lambda: datasets.load("folder:s3://bucket/x"),
        lambda: locate("gs://bucket/run"),
        lambda: FitConfig.of(start_from="gs://bucket/run"),
        lambda: FitConfig.of(model="gs://bucket/model.keras"),
        lambda: FitConfig.of(data_dir="gs://bucket/x"),
    ):
        with pytest.raises(InputError, match="lies in a store"):
            use()
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket/x")
    with pytest.raises(InputError, match="gs://bucket/x lies in a store"):
        datasets.load("cifar10")
    assert list(tmp_path.iterdir()) == []


def test_a_path_of_the_machine_stays_one(tmp_path) -> None:
    assert place(str(tmp_path)) == tmp_path
    assert type(place(tmp_path)) is type(pathlib.Path())


def test_a_folder_is_published_with_its_marker_last(tmp_path, fake_store) -> None:
    root, written = fake_store
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "a.pb").write_bytes(b"the marker")
    (folder / "variables" / "weights").write_bytes(bytes(range(256)))
    target = place("fake://bucket/m/1")
    publish(folder, target, last="a.pb")
    assert written == ["weights", "a.pb"]
    assert (root / "bucket/m/1/variables/weights").read_bytes() == bytes(range(256))
    assert (root / "bucket/m/1/a.pb").read_bytes() == b"the marker"
    with pytest.raises(FileExistsError):
        publish(folder, target, last="a.pb")
