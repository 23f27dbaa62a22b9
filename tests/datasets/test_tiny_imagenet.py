"""Tiny ImageNet from archives of the official layout, with three classes."""

import functools
import hashlib
import http.server
import io
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsp_keras.datasets import load
from lsp_keras.datasets.from_tfds import tiny_imagenet as _tiny_imagenet_builder
from lsp_keras.validation import InputError

# Not in the order of the numbers, as in the official file; two classes share their first name.
CLASSES = {"n03": "crane", "n01": "goldfish, Carassius auratus", "n02": "crane, wading bird"}
COLORS = {"n01": (200, 30, 40), "n02": (40, 200, 30), "n03": (30, 40, 200)}
GRAY = 90


def jpeg(color: tuple[int, int, int] | int) -> bytes:
    file = io.BytesIO()
    mode = "L" if isinstance(color, int) else "RGB"
    Image.new(mode, (64, 64), color).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """The folder as it is packed: 4 training images of each class, 2 validation images."""
    root = tmp_path / "source" / "tiny-imagenet-200"
    for number, color in COLORS.items():
        folder = root / "train" / number / "images"
        folder.mkdir(parents=True)
        for index in range(4):
            # One training image is grayscale.
            is_gray = number == "n02" and index == 0
            (folder / f"{number}_{index}.JPEG").write_bytes(jpeg(GRAY if is_gray else color))
        (root / "train" / number / f"{number}_boxes.txt").write_text("ignored\n")
    for kind in ("val", "test"):
        (root / kind / "images").mkdir(parents=True)
        for index, number in enumerate(["n02", "n01"]):
            content = jpeg(COLORS[number])
            (root / kind / "images" / f"{kind}_{index}.JPEG").write_bytes(content)
    annotations = "val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n"
    (root / "val" / "val_annotations.txt").write_text(annotations)
    (root / "wnids.txt").write_text("".join(f"{number}\n" for number in CLASSES))
    words = "".join(f"{number}\t{name}\n" for number, name in CLASSES.items())
    (root / "words.txt").write_text(words + "n99\tnot used\n")
    return root


def pack(official: Path, target: Path, form: str) -> None:
    """Puts the official folder under `target`, in one of its forms."""
    target.mkdir(parents=True)
    if form == "folder":
        shutil.copytree(official, target / official.name)
    else:
        shutil.make_archive(str(target / official.name), form, official.parent)


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("zip", "downloads/manual"),
        pytest.param("tar", "tiny_imagenet", marks=pytest.mark.slow),
        ("gztar", "."),
        ("folder", "downloads/manual"),
    ],
)
def test_every_form_gives_the_same_images(official, tmp_path, form, place):
    data = tmp_path / "data"
    pack(official, data / place, form)
    dataset = load("tiny_imagenet", data_dir=data, validation_size=0, download=False)
    assert dataset.info.class_names == ("goldfish", "crane (n02)", "crane (n03)")
    assert dict(dataset.info.split_sizes) == {"train": 12, "validation": 2}
    assert np.bincount(dataset.train.labels).tolist() == [4, 4, 4]
    colors = np.array([COLORS["n01"], COLORS["n02"], COLORS["n03"]], int)
    for split in (dataset.train, dataset.test):
        middle = split.images[:, 32, 32].astype(int)
        gray = np.abs(middle - GRAY).max(1) <= 3
        # JPEG keeps an even color up to rounding.
        assert np.abs(middle - colors[split.labels])[~gray].max() <= 3
        assert gray.sum() == (1 if split is dataset.train else 0)
    assert sorted(dataset.test.labels.tolist()) == [0, 1]


@pytest.fixture
def serve(monkeypatch):
    """Serves a folder over HTTP, in the place of the dataset's home; returns what was asked."""
    servers, asked = [], []

    def start(folder: Path) -> list[str]:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *arguments):
                asked.append(f"{self.command} {self.path}")

        handler = functools.partial(Handler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        home = f"http://127.0.0.1:{servers[-1].server_port}"
        monkeypatch.setattr(_tiny_imagenet_builder, "_URL", f"{home}/tiny-imagenet-200.zip")
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_is_missing_is_downloaded_once(official, tmp_path, serve, monkeypatch):
    pack(official, tmp_path / "home", "zip")
    archive = (tmp_path / "home" / "tiny-imagenet-200.zip").read_bytes()
    digest = hashlib.sha256(archive).hexdigest()
    monkeypatch.setattr(_tiny_imagenet_builder, "_SHA256", digest)
    asked = serve(tmp_path / "home")
    dataset = load("tiny_imagenet", data_dir=tmp_path / "data", validation_size=0)
    assert len(dataset.train) == 12
    assert asked == ["HEAD /tiny-imagenet-200.zip", "GET /tiny-imagenet-200.zip"]
    load("tiny_imagenet", data_dir=tmp_path / "data")
    assert len(asked) == 2


def test_a_download_that_is_not_the_official_file_is_refused(official, tmp_path, serve):
    pack(official, tmp_path / "home", "zip")
    serve(tmp_path / "home")
    with pytest.raises(InputError, match=r"is not the official file: its SHA-256 is [0-9a-f]{64}"):
        load("tiny_imagenet", data_dir=tmp_path / "data")
    assert not list((tmp_path / "data").glob("tiny_imagenet/1.0.0"))


def test_a_failed_download_is_one_sentence(tmp_path, serve):
    (tmp_path / "home").mkdir()
    serve(tmp_path / "home")
    with pytest.raises(InputError, match=r"is missing: .* \(.*404.*\); run this once") as caught:
        load("tiny_imagenet", data_dir=tmp_path / "data")
    assert "\n" not in str(caught.value)


def test_prepared_images_are_found_again_without_the_archive(official, tmp_path):
    data = tmp_path / "data"
    pack(official, data / "downloads" / "manual", "zip")
    first = load("tiny_imagenet", data_dir=data)
    shutil.rmtree(data / "downloads")
    again = load("tiny_imagenet", data_dir=data, download=False)
    assert again.info == first.info
    np.testing.assert_array_equal(again.train.images, first.train.images)


def test_a_validation_image_without_a_known_class_is_named(official, tmp_path):
    (official / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn77\t0\t0\t9\t9\n")
    pack(official, tmp_path / "data", "tar")
    with pytest.raises(InputError, match=r"val_0.JPEG has the class 'n77', which wnids.txt"):
        load("tiny_imagenet", data_dir=tmp_path / "data")


def test_another_layout_is_refused(official, tmp_path):
    (official / "wnids.txt").unlink()
    pack(official, tmp_path / "data", "zip")
    with pytest.raises(InputError, match=r"zip holds no wnids.txt: it must have the layout"):
        load("tiny_imagenet", data_dir=tmp_path / "data")


def test_an_archive_that_is_none_is_named(tmp_path):
    (tmp_path / "tiny-imagenet-200.zip").write_text("<html>404</html>")
    with pytest.raises(InputError, match=r"tiny-imagenet-200.zip is neither a zip nor a tar"):
        load("tiny_imagenet", data_dir=tmp_path)


def test_a_damaged_archive_is_named(official, tmp_path):
    pack(official, tmp_path / "data", "zip")
    path = tmp_path / "data" / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("tiny-imagenet-200/train/n01/images/n01_0.JPEG").header_offset
    content = bytearray(path.read_bytes())
    content[start + 100 : start + 200] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"tiny-imagenet-200.zip is damaged \("):
        load("tiny_imagenet", data_dir=tmp_path / "data")
