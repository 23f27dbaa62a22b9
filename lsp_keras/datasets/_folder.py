"""A folder of images with one folder per class."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lsp_keras.datasets._base import Chunks, Folders, OpenSource, Source, SourceSplit
from lsp_keras.datasets._cut import cut_test
from lsp_keras.datasets._image_files import SUFFIXES, read_rgb, usual_side
from lsp_keras.storage import fingerprint
from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_CHUNK = 256


class FolderSource(Source):
    """`PATH/CLASS/*.png`, or `PATH/train/CLASS/*.png` with `PATH/test/CLASS/*.png`.

    Classes are numbered in the order of their names. Where there is no folder `test`, a fifth of
    each class is cut off to test on. All images become RGB and are resized to one square, by
    default with the side that most of them have; nothing is cut off.

    Attributes:
        path: The folder.
        augmentation: Does not flip: whether a mirrored image keeps its class is not known.
    """

    augmentation = "crop"

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser()

    def open(self, folders: Folders, size: int | None) -> OpenSource:
        """See the base class."""
        roots = _split_folders(self.path)
        class_names = _class_names(roots)
        parts = [_list_files(root, class_names) for root in roots]
        files = _Files(
            [path for part in parts for path in part.paths],
            np.concatenate([part.labels for part in parts]),
        )
        size = size or usual_side(files.paths)
        if len(parts) == 2:
            train, test = np.split(np.arange(len(files.paths)), [len(parts[0].paths)])
        else:
            train, test = cut_test(files.labels)
        read = functools.partial(_read, files, size)
        return OpenSource(
            class_names=class_names,
            image_shape=(size, size, 3),
            split_sizes={"train": len(train), "test": len(test)},
            train=SourceSplit(train, read),
            test=SourceSplit(test, read),
            version=_version(files.paths),
            citation="",
        )


class _Files(NamedTuple):
    """Image files in a fixed order, with the number of each one's class."""

    paths: list[Path]
    labels: Integers


def _split_folders(folder: Path) -> list[Path]:
    """The folders that hold the folders of the classes: train and test, or one."""
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}. `folder:PATH` needs one with one folder per class."
        )
    names = _subfolders(folder)
    if {"train", "test"} <= set(names):
        return [folder / "train", folder / "test"]
    # Among other folders, "train" is the name of a class.
    return [folder / "train"] if names == ["train"] else [folder]


def _class_names(roots: list[Path]) -> tuple[str, ...]:
    """Names of the folders to train on, in order."""
    names, to_test = _subfolders(roots[0]), _subfolders(roots[-1])
    if len(names) < 2:
        raise InputError(
            f"{roots[0]} must hold at least two folders of images, one per class. "
            f"It holds {len(names)}."
        )
    unknown = [name for name in to_test if name not in names]
    if unknown:
        raise InputError(f"{roots[-1]} has classes that {roots[0]} lacks: {', '.join(unknown)}.")
    return tuple(names)


def _list_files(root: Path, class_names: tuple[str, ...]) -> _Files:
    """All images under the folders of the classes; other files are passed over."""
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        if not (root / name).is_dir():
            continue
        found = sorted(path for path in (root / name).iterdir() if path.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"The folder {root / name} holds no images ({', '.join(SUFFIXES)}).")
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise InputError(f"{root} holds no folders of images.")
    return _Files(paths, np.array(labels, np.int64))


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def _read(files: _Files, size: int, positions: Integers) -> Chunks:
    """Decodes the files at these positions, several at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        for start in range(0, len(positions), _CHUNK):
            chosen = positions[start : start + _CHUNK]
            paths = [files.paths[position] for position in chosen]
            images = executor.map(functools.partial(read_rgb, size=size), paths)
            yield np.stack(list(images)), files.labels[chosen]


def _version(paths: list[Path]) -> str:
    """Changes when a file is added, removed or replaced."""
    stats = [path.stat() for path in paths]
    return fingerprint(
        [str(path.resolve()) for path in paths],
        [[stat.st_size, stat.st_mtime_ns] for stat in stats],
    )
