"""Datasets prepared for training on more images than memory holds: `prepared:PATH`."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lsp_keras.arrays import ArrayFileError, ArraySpec, read_npy
from lsp_keras.datasets._base import Chunks, Folders, OpenSource, ReadOptions, Source, SourceSplit
from lsp_keras.datasets.prepared.records import RecordImages, write_records
from lsp_keras.storage import atomic_path, fingerprint, read_json, write_json
from lsp_keras.types import Images, Integers
from lsp_keras.validation import InputError, listing

_MANIFEST = "prepared.json"
_CHUNK = 1024
_SPLITS = ("train", "test", "validation")
# What is copied from the source, and what it is in JSON.
_COPIED = {
    "class_names": list,
    "image_shape": list,
    "split_sizes": dict,
    "citation": str,
    "resize": str,
    "left_out": dict,
    "notes": list,
}


def write_prepared(
    opened: OpenSource,
    name: str,
    augmentation: str | None,
    folder: Path,
    progress: Callable[[str, int, int], None],
) -> None:
    """Writes every split of a source; the folder is there complete or not at all.

    Args:
        opened: The source.
        name: Name of the dataset.
        augmentation: Name of the augmentation that suits it, or `None`.
        folder: Folder that must not exist yet.
        progress: Function that is called with the split's name and how many of its images are done.

    Raises:
        InputError: There is something at `folder`, or there is now, from another process.
    """
    check_new(folder)
    splits = {key: getattr(opened, key) for key in _SPLITS if getattr(opened, key) is not None}
    facts: dict[str, Any] = {key: getattr(opened, key) for key in _COPIED}
    try:
        with atomic_path(folder, replace=False) as new:
            new.mkdir()
            for key, split in splits.items():
                _write_split(new, key, split, _reported(key, split, progress))
            record = {"name": name, "augmentation": augmentation, "version": opened.version}
            write_json(new / _MANIFEST, {**record, **facts, "splits": list(splits)})
    except FileExistsError:
        check_new(folder)
        raise


def check_new(folder: Path) -> None:
    """Raises `InputError` where there is something at `folder`, a broken link included."""
    if os.path.lexists(folder):
        raise InputError(f"{folder} exists already. Name a new folder.")


def _write_split(folder: Path, key: str, split: SourceSplit, parts: Iterator[Images]) -> None:
    count = write_records(folder / f"{key}.array_record", parts)
    if count != len(split.labels):
        raise InputError(f"Only {count} of {len(split.labels)} images of {key} could be read.")
    np.save(folder / f"{key}.labels.npy", split.labels)
    np.save(folder / f"{key}.positions.npy", split.positions)


def _reported(
    key: str, split: SourceSplit, progress: Callable[[str, int, int], None]
) -> Iterator[Images]:
    done = 0
    for images, _ in split.read(split.positions):
        yield images
        done += len(images)
        progress(key, done, len(split.labels))


class PreparedSource(Source):
    """A folder that `lsp-keras data prepare` wrote, whose images stay in their files.

    Args:
        path: The folder.
    """

    def __init__(self, path: str) -> None:
        self.folder = Path(path).expanduser()

    @property
    def augmentation(self) -> str | None:  # type: ignore[override]
        """Name of the augmentation that suits the images, or `None`."""
        found: str | None = self._manifest()["augmentation"]
        return found

    def open(self, folders: Folders, options: ReadOptions) -> OpenSource:
        manifest = self._manifest()
        options.refuse_splits("A prepared dataset")
        height, width, channels = manifest["image_shape"]
        if options.size not in (None, (height, width)) or options.channels not in (None, channels):
            raise InputError(
                f"The images in {self.folder} are {height}x{width} with {channels} channels. "
                "Prepare them again for another size."
            )
        shape = (height, width, channels)
        splits = {key: self._split(key, shape) for key in manifest["splits"]}
        return OpenSource(
            class_names=tuple(manifest["class_names"]),
            image_shape=shape,
            split_sizes=manifest["split_sizes"],
            train=splits["train"],
            test=splits["test"],
            version=fingerprint({key: value for key, value in manifest.items() if key != "notes"}),
            citation=manifest["citation"],
            validation=splits.get("validation"),
            resize=manifest["resize"],
            left_out=manifest["left_out"],
            notes=tuple(manifest["notes"]),
        )

    def _manifest(self) -> Mapping[str, Any]:
        path = self.folder / _MANIFEST
        if not path.is_file():
            raise InputError(
                f"{self.folder} holds no prepared dataset. Write one by "
                f"`lsp-keras data prepare NAME --to {self.folder}`."
            )
        manifest = read_json(path)
        missing = {*_COPIED, "augmentation", "splits"} - set(manifest)
        if missing:
            raise InputError(f"{path} is damaged: it lacks {listing(sorted(missing))}.")
        wrong = [name for name, kind in _COPIED.items() if not isinstance(manifest[name], kind)]
        wrong += [] if _is_shape(manifest["image_shape"]) else ["image_shape"]
        wrong += [name for name in ("class_names", "notes") if not _are_texts(manifest[name])]
        if not (_are_texts(manifest["splits"]) and {"train", "test"} <= {*manifest["splits"]}):
            wrong.append("splits")
        wrong += [] if isinstance(manifest["augmentation"], str | None) else ["augmentation"]
        if wrong:
            raise InputError(f"{path} is damaged: its {wrong[0]} is none.")
        return manifest

    def _split(self, key: str, shape: tuple[int, int, int]) -> SourceSplit:
        labels = self._numbers(key, "labels")
        positions = self._numbers(key, "positions", len(labels))
        path = self.folder / f"{key}.array_record"
        if not path.is_file():
            raise InputError(f"{path}, which holds the images of {key}, is no file.")
        stored = functools.partial(RecordImages, path, image_shape=shape)

        def read(wanted: Integers) -> Chunks:
            places = np.searchsorted(positions, wanted)
            for start in range(0, len(places), _CHUNK):
                rows = places[start : start + _CHUNK]
                yield stored(rows)[:], labels[rows]

        return SourceSplit(positions, labels, read, stored=stored)

    def _numbers(self, key: str, what: str, rows: int | None = None) -> Integers:
        path = self.folder / f"{key}.{what}.npy"
        try:
            return read_npy(path, ArraySpec(kinds="i", ndim=1, rows=rows))
        except ArrayFileError as error:
            raise InputError(f"{path} holds no {what} of {key}: {error}.") from error


def _is_shape(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(type(item) is int and item > 0 for item in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
