"""A folder of images with one folder per class."""

import collections
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lsp_keras.datasets._base import (
    Chunks,
    Folders,
    OpenSource,
    ReadOptions,
    Source,
    SourceSplit,
    one_line,
)
from lsp_keras.datasets._cut import cut_test
from lsp_keras.datasets.folders.files import (
    Found,
    Roots,
    files_beside,
    find_images,
    find_roots,
    subfolders,
)
from lsp_keras.datasets.folders.images import (
    SUFFIXES,
    Header,
    count_sizes,
    read_images,
    usual_size,
)
from lsp_keras.storage import fingerprint
from lsp_keras.types import Integers
from lsp_keras.validation import InputError

_SIZES_NAMED = 3


class FolderSource(Source):
    """`PATH/CLASS/...`, or `PATH/train/CLASS/...` with `PATH/test/CLASS/...`, see docs/data.md.

    Classes are numbered in the order of their names. Where there is no folder to test on, a
    fifth of each class is cut off for it.

    Attributes:
        path: The folder.
        augmentation: Augmentation that does not flip: whether a mirrored image keeps its class is
            not known.
    """

    augmentation = "crop"

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser()

    def open(self, folders: Folders, options: ReadOptions) -> OpenSource:
        roots = find_roots(self.path, options)
        names = _class_folders(roots)
        parts = [find_images(root, names) for root in roots if root is not None]
        _refuse_empty(roots, names, parts)
        headers = [header for part in parts for header in part.headers]
        files = _Files(parts, options)
        train, validation, test = files.splits(roots)
        left_out = files_beside(
            self.path, [root / name for root in roots if root is not None for name in names]
        )
        left_out = sum((part.left_out for part in parts), left_out)
        splits = {"train": train, "validation": validation, "test": test}
        return OpenSource(
            class_names=tuple(map(one_line, names)),
            image_shape=files.shape,
            split_sizes={
                name: len(split.labels) for name, split in splits.items() if split is not None
            },
            train=train,
            test=test,
            version=files.version,
            citation="",
            validation=validation,
            resize=options.resize,
            left_out=dict(left_out),
            notes=(*_split_notes(roots, names), *_shape_notes(headers, files.shape, options)),
        )


class _Files:
    """The image files of all splits, one after the other.

    Args:
        parts: Files of the splits: train, then validation and test where there are folders.
        options: May name a size and channels.

    Attributes:
        shape: Shape of every image, `(height, width, channels)`.
        version: Text that changes when a file is added, removed or replaced, or read otherwise.
    """

    def __init__(self, parts: Sequence[Found], options: ReadOptions) -> None:
        headers = [header for part in parts for header in part.headers]
        self.paths = [path for part in parts for path in part.paths]
        self.labels = np.array([label for part in parts for label in part.labels], np.int64)
        self.ends = np.cumsum([len(part.paths) for part in parts])
        self.resize = options.resize
        channels = options.channels or (1 if all(header.gray for header in headers) else 3)
        self.shape = (*(options.size or usual_size(count_sizes(headers))), channels)
        stats = [path.stat() for path in self.paths]
        self.version = fingerprint(
            [str(path.resolve()) for path in self.paths],
            [[stat.st_size, stat.st_mtime_ns] for stat in stats],
            [self.resize],
        )

    def splits(self, roots: Roots) -> tuple[SourceSplit, SourceSplit | None, SourceSplit]:
        """Train, validation and test; those without a folder are cut from the first."""
        rows = np.split(np.arange(len(self.paths)), self.ends[:-1])
        if roots.test is None:
            train, test = cut_test(self.labels)
            return self._split(train), None, self._split(test)
        validation = self._split(rows[1]) if roots.validation is not None else None
        return self._split(rows[0]), validation, self._split(rows[-1])

    def _split(self, rows: Integers) -> SourceSplit:
        return SourceSplit(rows, self.labels[rows], self._read, self._encoded)

    def _read(self, positions: Integers) -> Chunks:
        start = 0
        paths = [self.paths[position] for position in positions]
        for images in read_images(paths, self.shape, self.resize):
            yield images, self.labels[positions[start : start + len(images)]]
            start += len(images)

    def _encoded(self, positions: Integers) -> Iterator[bytes]:
        return (self.paths[position].read_bytes() for position in positions)


def _class_folders(roots: Roots) -> list[str]:
    """Names of the folders to train on, in order; the other splits have no other classes."""
    names = subfolders(roots.train)
    if len(names) < 2:
        inner = [roots.train / name for name in names if len(subfolders(roots.train / name)) > 1]
        hint = f" Is folder:{inner[0]} meant, which holds several?" if inner else ""
        raise InputError(
            f"{roots.train} must hold at least two folders of images, one per class. "
            f"It holds {len(names)}.{hint}"
        )
    for root in roots[1:]:
        unknown = [name for name in subfolders(root) if name not in names] if root else []
        if root and unknown:
            raise InputError(
                f"{root} has classes that {roots.train} lacks: {', '.join(unknown)}. "
                f"{_without(roots, root)}"
            )
    counts = collections.Counter(map(one_line, names))
    name, count = counts.most_common(1)[0]
    if count > 1:
        raise InputError(f"{count} folders in {roots.train} stand for the class {name!r}.")
    return names


def _refuse_empty(roots: Roots, names: Sequence[str], parts: Sequence[Found]) -> None:
    """Raises `InputError` for a class without training images, and a split without any."""
    train, *others = parts
    for label in sorted(set(range(len(names))) - set(train.labels)):
        folder = roots.train / names[label]
        raise InputError(f"The folder {folder} holds no images ({', '.join(SUFFIXES)}).")
    for root, found in zip(filter(None, roots[1:]), others, strict=True):
        if not found.paths:
            raise InputError(
                f"{root} holds no images with a class: they must lie in folders such as "
                f"{root / names[0]}. {_without(roots, root)}"
            )


def _without(roots: Roots, root: Path) -> str:
    """How a folder that stands for a split is left out."""
    left = f"--split-train {roots.train.name}"
    if root == roots.test:
        return f"To leave it out: {left}; then a fifth of each class is tested on."
    left += f" --split-test {roots.test.name}" if roots.test else ""
    return f"To leave it out: {left}; then validation images are cut from the training images."


def _split_notes(roots: Roots, names: Sequence[str]) -> Iterator[str]:
    inner = {tuple(map(one_line, subfolders(roots.train / name))) for name in names}
    if len(inner) == 1 and len(same := inner.pop()) > 1:
        classes = ", ".join(map(one_line, names))
        yield (
            f"The classes {classes} hold folders of the same names ({', '.join(same)}). "
            "If they are splits, name them by --split-train and --split-test."
        )
    if roots.test is None:
        yield "There is no folder of test images: a fifth of each class is tested on."
    elif roots.test.name.lower().startswith(("val", "dev")):
        yield f"There is no folder test: the folder {roots.test.name} is tested on."


def _shape_notes(
    headers: Sequence[Header], shape: tuple[int, int, int], options: ReadOptions
) -> Iterator[str]:
    """What was resized from what, and what lost or gained colors."""
    size = shape[:2]
    others = count_sizes([header for header in headers if header.size != size])
    if others:
        shown = [f"{count:,} of {_text(of)}" for of, count in others.most_common(_SIZES_NAMED)]
        rest = len(others) - len(shown)
        more = f" and {rest:,} more sizes" if rest else ""
        yield (
            f"Resized to {_text(size)} by {options.resize}: {sum(others.values()):,} of "
            f"{len(headers):,} images ({', '.join(shown)}{more}). "
            "--image-size and --resize choose otherwise."
        )
    gray = sum(header.gray for header in headers)
    if shape[-1] == 1 and options.channels is None:
        yield "All images are gray and keep their one channel; --channels 3 makes them RGB."
    elif shape[-1] == 1 and gray < len(headers):
        yield f"{len(headers) - gray:,} of {len(headers):,} images lose their colors."
    elif shape[-1] == 3 and gray:
        yield f"{gray:,} of {len(headers):,} images are gray and become RGB."


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
