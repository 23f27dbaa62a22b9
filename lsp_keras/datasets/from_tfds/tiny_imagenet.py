"""Tiny ImageNet for TFDS, which has no builder of its own for it."""

import collections
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from lsp_keras.datasets.from_tfds.archive import Archive, open_archive
from lsp_keras.datasets.from_tfds.preparation import check_connection
from lsp_keras.validation import InputError

_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
# Of the official file, 248,100,043 bytes, as several projects state it.
_SHA256 = "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"
_Lister = Callable[[Archive], dict[str, str]]
_CITATION = """@misc{le2015tiny,
  author = {Ya Le and Xuan Yang},
  title = {Tiny {ImageNet} Visual Recognition Challenge},
  howpublished = {Stanford CS 231N course report},
  year = {2015}
}"""
_TRAIN_IMAGE = re.compile(r"(?:.*/)?train/([^/]+)/images/[^/]+\.JPEG")
_VALIDATION_IMAGE = re.compile(r"(?:.*/)?val/images/([^/]+\.JPEG)")


class TinyImagenet(tfds.core.GeneratorBasedBuilder):
    """Reads the official `tiny-imagenet-200.zip`, or its files packed or unpacked otherwise.

    The images are stored as they came; grayscale ones become RGB when they are decoded. Labels
    follow the order of the WordNet numbers, as elsewhere. The official test images have no
    public labels and are left out.

    Attributes:
        archive: A zip, a tar or a folder of the official layout; `None` downloads it.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Train and validation images."}  # noqa: RUF012 (TFDS's name)

    def __init__(
        self,
        *,
        data_dir: str | Path | None = None,
        version: str | None = None,
        archive: str | Path | None = None,
    ) -> None:
        self.archive = archive
        super().__init__(data_dir=data_dir, version=version)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="A subset of ImageNet: 200 classes, images of 64x64 pixels.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(64, 64, 3), encoding_format="jpeg"),
                    # The names, and how many there are, come from the archive.
                    "label": tfds.features.ClassLabel(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=_URL,
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        if self.archive is None:
            check_connection(_URL)
            path = Path(dl_manager.download(_URL))
            _check_download(path)
        else:
            # What users bring may be a part, packed anew: only its layout is checked.
            path = Path(self.archive)
        with open_archive(path) as archive:
            classes = _class_names(archive)
        self.info.features["label"].names = list(classes.values())
        return {
            "train": self._generate_examples(path, classes, _train_numbers),
            "validation": self._generate_examples(path, classes, _validation_numbers),
        }

    def _generate_examples(
        self, path: Path, classes: dict[str, str], list_images: _Lister
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        with open_archive(path) as archive:
            for name, number in list_images(archive).items():
                if number not in classes:
                    raise InputError(
                        f"{path}: {name} has the class {number!r}, which wnids.txt does not list."
                    )
                # TFDS stores the bytes of a file-like object as they are.
                image = io.BytesIO(archive.read(name))
                yield name, {"image": image, "label": classes[number]}


def _check_download(path: Path) -> None:
    """Raises `InputError` unless the file is the official one; plain HTTP vouches for nothing."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _SHA256:
        raise InputError(
            f"{path}, downloaded from {_URL}, is not the official file: its SHA-256 is {found}, "
            f"not {_SHA256}. Delete it and download it again, from another network if need be."
        )


def _class_names(archive: Archive) -> dict[str, str]:
    """The name of each WordNet number, in label order."""
    numbers = sorted(_text(archive, "wnids.txt").split())
    words = dict(_rows(_text(archive, "words.txt")))
    # The first of several synonyms says enough, unless two classes share it.
    firsts = {number: words.get(number, number).partition(",")[0] for number in numbers}
    frequencies = collections.Counter(firsts.values())
    return {
        number: first if frequencies[first] == 1 else f"{first} ({number})"
        for number, first in firsts.items()
    }


def _train_numbers(archive: Archive) -> dict[str, str]:
    """WordNet number of each training image, which is the name of its folder."""
    matches = map(_TRAIN_IMAGE.fullmatch, archive.names)
    return {match[0]: match[1] for match in matches if match}


def _validation_numbers(archive: Archive) -> dict[str, str]:
    """WordNet number of each validation image, as `val_annotations.txt` states it."""
    numbers = dict(_rows(_text(archive, "val/val_annotations.txt")))
    matches = map(_VALIDATION_IMAGE.fullmatch, archive.names)
    return {match[0]: numbers.get(match[1], "") for match in matches if match}


def _text(archive: Archive, name: str) -> str:
    """The text file of that name, whatever the folder it lies in is called."""
    for candidate in archive.names:
        if candidate == name or candidate.endswith(f"/{name}"):
            return archive.read(candidate).decode("utf-8")
    raise InputError(
        f"{archive.path} holds no {name}: it must have the layout of tiny-imagenet-200.zip."
    )


def _rows(text: str) -> Iterator[tuple[str, str]]:
    """First two of the columns, which tabs separate."""
    for line in text.splitlines():
        first, second, *_ = [*line.split("\t"), ""]
        yield first, second
