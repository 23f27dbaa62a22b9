"""What lies in an image folder: its splits, its classes, and why a file is left out."""

import collections
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lsp_keras.datasets._base import ReadOptions
from lsp_keras.datasets.folders.images import OTHER_SUFFIXES, SUFFIXES, Header, read_headers
from lsp_keras.validation import InputError

# Usual names of the folders that hold the splits.
_ROLES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_DEBRIS = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN", "lost+found")


class Roots(NamedTuple):
    """The folders that hold the folders of the classes.

    Attributes:
        train: Folder to train on.
        validation: Folder to choose an epoch by, or `None`.
        test: Folder to test on, or `None`.
    """

    train: Path
    validation: Path | None = None
    test: Path | None = None


@dataclass
class Found:
    """Image files of one split.

    Attributes:
        paths: The files, class by class.
        labels: The number of each one's class.
        headers: What is known of each.
        left_out: Number of files that are not used, by reason.
    """

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    left_out: collections.Counter[str] = field(default_factory=collections.Counter)


def find_roots(folder: Path, options: ReadOptions) -> Roots:
    """The folders of the splits: those the user names, those with usual names, or one for all.

    Raises:
        InputError: There is no such folder, or two have names for the same split.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}. `folder:PATH` needs one with one folder per class."
        )
    if options.split_train or options.split_test:
        test = _named(folder, options.split_test) if options.split_test else None
        return Roots(_named(folder, options.split_train or "train"), test=test)
    names = subfolders(folder)
    splits = {role: _with_role(folder, names, role) for role in _ROLES}
    train, validation, test = splits["train"], splits["validation"], splits["test"]
    # Among other folders, "train" is the name of a class.
    if train is None or not (validation or test or len(names) == 1):
        return Roots(folder)
    return Roots(train, None, validation) if test is None else Roots(train, validation, test)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, without hidden ones and debris."""
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not _is_debris(path.name)
    )


def find_images(root: Path, folders: Sequence[str]) -> Found:
    """All images in the folders of the classes and in the folders within them.

    Args:
        root: Folder of a split.
        folders: Names of the classes' folders, in label order; some may be missing.
    """
    found = Found()
    for label, name in enumerate(folders):
        paths = list(_candidates(root / name, found.left_out))
        for path, header in zip(paths, read_headers(paths), strict=True):
            if header.problem is not None:
                found.left_out[header.problem] += 1
                continue
            found.paths.append(path)
            found.labels.append(label)
            found.headers.append(header)
    return found


def files_beside(folder: Path, used: Sequence[Path]) -> collections.Counter[str]:
    """Number of files outside of the used folders, by reason.

    Args:
        folder: Folder of the dataset.
        used: Folders of classes.
    """
    counts: collections.Counter[str] = collections.Counter()
    for path in _walk(folder, skip={str(path) for path in used}):
        debris = any(map(_is_debris, path.relative_to(folder).parts))
        counts["hidden or left by an archive" if debris else "beside the folders of classes"] += 1
    return counts


def _candidates(folder: Path, left_out: collections.Counter[str]) -> Iterator[Path]:
    """Files that may be images, by their names; the others are counted."""
    for path in _walk(folder):
        suffix = path.suffix.lower()
        if any(map(_is_debris, path.relative_to(folder).parts)):
            left_out["hidden or left by an archive"] += 1
        elif suffix in SUFFIXES and not path.is_file():
            left_out["no files but pipes, devices or links to nothing"] += 1
        elif suffix in SUFFIXES:
            yield path
        elif suffix in OTHER_SUFFIXES:
            kind = suffix[1:].upper()
            left_out[f"{kind}, which a server cannot decode: convert them to PNG"] += 1
        else:
            left_out["no images"] += 1


def _walk(folder: Path, skip: set[str] = frozenset()) -> Iterator[Path]:  # type: ignore[assignment]
    """All files below a folder in the order of their names, folder by folder."""
    # A link to a folder above would go in circles, and bring what belongs to other classes.
    visited = {str(above) for above in Path(os.path.realpath(folder)).parents}
    refuse = functools.partial(_refuse_unreadable, folder)
    for parent, names, files in os.walk(folder, onerror=refuse, followlinks=True):
        visited.add(os.path.realpath(parent))
        names[:] = sorted(
            name
            for name in names
            if os.path.realpath(Path(parent, name)) not in visited
            and str(Path(parent, name)) not in skip
        )
        yield from (Path(parent, file) for file in sorted(files))


def _refuse_unreadable(folder: Path, error: OSError) -> None:
    """Raises `InputError` unless there is no such folder, as where a split lacks a class."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return
    # Such as lost+found, which only root may read.
    if not any(map(_is_debris, Path(error.filename).relative_to(folder).parts)):
        raise InputError(
            f"The folder {error.filename} cannot be read ({error.strerror}): what lies in it would "
            "be passed over. Change its permissions, or move it away."
        ) from error


def _is_debris(name: str) -> bool:
    return name.startswith(".") or name in _DEBRIS


def _named(folder: Path, name: str) -> Path:
    if not (folder / name).is_dir():
        raise InputError(
            f"There is no folder {folder / name}. {folder} holds: {', '.join(subfolders(folder))}."
        )
    return folder / name


def _with_role(folder: Path, names: Sequence[str], role: str) -> Path | None:
    """The folder with a usual name of a split."""
    found = [name for name in names if name.lower() in _ROLES[role]]
    if len(found) > 1:
        raise InputError(
            f"{folder} has several folders for {role} images: {', '.join(found)}. "
            "Join them, or name the folders by --split-train and --split-test."
        )
    return folder / found[0] if found else None
