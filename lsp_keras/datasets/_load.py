"""From the name of a dataset to its images."""

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lsp_keras import registry
from lsp_keras.datasets._base import Folders, OpenSource, ReadOptions, Source
from lsp_keras.datasets._cut import Counts, choose_rows
from lsp_keras.datasets._memory import (
    channel_statistics,
    map_parts,
    read_parts,
    stored_parts,
)
from lsp_keras.datasets._notes import describe_gaps, describe_use
from lsp_keras.datasets.folders.source import FolderSource
from lsp_keras.datasets.from_tfds.source import TFDSSource
from lsp_keras.datasets.prepared.source import PreparedSource
from lsp_keras.ops.resizing import MODES, parse_size
from lsp_keras.places import check_local
from lsp_keras.storage import cache_dir as find_cache_dir
from lsp_keras.stored_images import StoredImages
from lsp_keras.types import Dataset, DatasetInfo, Examples
from lsp_keras.validation import InputError, check_choice, check_positive

# Sources that take what follows the colon, for example "tfds:cifar100".
SCHEMES: dict[str, Callable[[str], Source]] = {
    "folder": FolderSource,
    "prepared": PreparedSource,
    "tfds": TFDSSource,
}
MEMORY_LIMIT = 4 * 2**30
_SIZE = re.compile(r"\d+(x\d+)?")


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    download: bool = True,
    num_train: int | None = None,
    num_test: int | None = None,
    validation_size: int | None = None,
    image_size: str | int | tuple[int, int] | None = None,
    resize: str = "crop",
    channels: int | None = None,
    split_train: str | None = None,
    split_test: str | None = None,
    seed: int = 0,
    memory_limit: int = MEMORY_LIMIT,
    settings: Mapping[str, Any] | None = None,
) -> Dataset:
    """Loads a dataset, with a validation split cut from its training images.

    Args:
        name: A registered name such as `"cifar10"`, `"tfds:NAME"` for any TFDS dataset for
            image classification, `"folder:PATH"` for a folder with one folder of images per
            class, or `"prepared:PATH"` for what `prepare` wrote. `@SIZE` at the end, as in
            `"stl10@32"`, is short for `image_size`.
        data_dir: Folder of prepared TFDS datasets; default `$TFDS_DATA_DIR` or
            `~/tensorflow_datasets`. It is only read where it is not writable.
        cache_dir: Folder for what is prepared; default as in `lsp_keras.storage.cache_dir`.
        download: Whether a dataset that is not there may be downloaded.
        num_train: Largest number of training images, after the validation split was cut.
        num_test: Largest number of test images.
        validation_size: Number of validation images. Default a tenth of the training images, at
            most 1,000; of a source with validation images of its own all of them, at most 1,000.
        image_size: Height and width of all images, such as `"48x64"` or 64, from 16 up. Default
            the source's own; of a folder the size of most of its images, if that is within
            reason. A pair of numbers is what a model takes, and may be smaller.
        resize: How images of another size are brought to it: `"crop"`, `"pad"` or `"stretch"`,
            see `lsp_keras.ops.resizing`.
        channels: Number of channels, 3 for RGB or 1 for gray. Default the source's own.
        split_train: Name of the source's split, or of the folder, to train on.
        split_test: Name of the source's split, or of the folder, to test on.
        seed: Seed of the order of each split, by which the validation images are cut off and
            images are limited. The same seed gives the same images, and fewer of them are the
            head of more; every head holds the classes in nearly their overall shares.
        memory_limit: Bytes. Images that take more are kept in memory-mapped files in the cache.
        settings: Arguments of the dataset's own, for a registered one that has some.

    Returns:
        uint8 images and int64 labels; mean and std are those of the training images. What users
        should know of what was read is in `info.notes`.

    Raises:
        InputError: Unknown name, missing or unfit data, or a limit out of range.

    Example:
        >>> import lsp_keras.datasets
        >>> lsp_keras.datasets.load("digits", num_train=500).train.images.shape
        (500, 16, 16, 3)
    """
    check_positive("seed", seed, allow_zero=True)
    source, size = find_source(name, settings)
    options = read_options(size or image_size, resize, channels, split_train, split_test)
    folders = Folders(Path(data_dir) if data_dir else None, find_cache_dir(cache_dir), download)
    opened = source.open(folders, options)
    counts = Counts(num_train, validation_size, num_test)
    cache = folders.cache / "images"
    return assemble(name, source.augmentation, opened, counts, seed, cache, memory_limit)


def assemble(
    name: str,
    augmentation: str | None,
    opened: OpenSource,
    counts: Counts,
    seed: int,
    folder: Path,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """Reads the splits of a source in a fair order.

    Args:
        name: Name of the dataset.
        augmentation: Name of the augmentation that suits it, or `None`.
        opened: The source.
        counts: Numbers of images that are asked for.
        seed: Seed of the orders.
        folder: Where images are kept that take more than the limit.
        memory_limit: Number of bytes.
    """
    own = opened.validation
    labels = None if own is None else own.labels
    rows = choose_rows(opened.train.labels, opened.test.labels, counts, seed, labels)
    read: Callable[..., list[Examples]] = read_parts
    if opened.train.stored is not None:
        read = stored_parts
    elif sum(map(len, rows)) * math.prod(opened.image_shape) > memory_limit:
        read = functools.partial(map_parts, folder=folder)
    if own is None:
        train, validation = read(opened, opened.train, (rows.train, rows.validation))
    else:
        (train,) = read(opened, opened.train, (rows.train,))
        (validation,) = read(opened, own, (rows.validation,))
    (test,) = read(opened, opened.test, (rows.test,))
    info = _info(name, augmentation, opened, train, validation, test)
    return Dataset(replace(info, order_seed=seed), train, validation, test)


def encoded_files(
    name: str,
    split: Examples,
    *,
    data_dir: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    **reading: Any,
) -> list[bytes] | None:
    """The files that images of a dataset's test split were decoded from.

    Args:
        name: Name of the dataset, as `load` takes it.
        split: Some of the test images that `load` gave.
        data_dir: Folder of TFDS's data, as `load` takes it.
        settings: Further settings of `load`.
        reading: The other arguments that say how images are read, as for `load`.

    Returns:
        One file for each image, or `None` where the images do not come from files.
    """
    source, options = source_with_options(name, settings, reading)
    folders = Folders(Path(data_dir) if data_dir else None, find_cache_dir(None), download=False)
    encoded = source.open(folders, options).test.encoded
    if encoded is None:
        return None
    order = np.argsort(split.indices)
    files = dict(zip(order.tolist(), encoded(split.indices[order]), strict=True))
    return [files[row] for row in range(len(split))]


def read_options(
    image_size: str | int | tuple[int, int] | None,
    resize: str,
    channels: int | None,
    split_train: str | None = None,
    split_test: str | None = None,
) -> ReadOptions:
    """Checked options; the arguments are those of `load`.

    Raises:
        InputError: One of them is out of range.
    """
    check_choice("resize", resize, MODES)
    if channels not in (None, 1, 3):
        raise InputError(f"`channels` must be 1 or 3. Received: channels={channels}.")
    if image_size is None or isinstance(image_size, tuple):
        size = image_size
    else:
        size = parse_size(image_size)
    return ReadOptions(size, resize, channels, split_train, split_test)


def find_source(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Source, str | None]:
    """The source that a name stands for, and the size after its `@`.

    Args:
        name: Name of the dataset, as `load` takes it.
        settings: Settings of the dataset's own.

    Raises:
        InputError: There is none.
    """
    check_name(name)
    base, size = split_size(name)
    scheme, _, rest = base.partition(":")
    if scheme in SCHEMES and rest:
        check_local(rest)
        if size is not None:
            _refuse_size_in_name(rest, f"{rest}@{size}")
        return SCHEMES[scheme](rest), size
    try:
        source = registry.get("dataset", base)
    except InputError as error:
        raise InputError(
            f"{error} Or tfds:NAME for any TFDS dataset, folder:PATH for a folder of images, or "
            "prepared:PATH for what `lsp-keras data prepare` wrote."
        ) from None
    return (source(**(settings or {})) if isinstance(source, type) else source), size


def check_name(name: str) -> None:
    """Refuses the name of a dataset that records could not hold, such as a folder's in Latin-1.

    Raises:
        InputError: It is no text in UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="surrogateescape").decode(errors="replace")
        raise InputError(
            f"The name {shown} is no text in UTF-8, which records of runs are written in. Rename "
            "the folder, or link to it by another name."
        ) from error


def _refuse_size_in_name(path: str, whole: str) -> None:
    """Refuses a folder whose own name ends like a size, for it would be taken for one."""
    folder = Path(whole).expanduser()
    if folder.is_dir() and not Path(path).expanduser().exists():
        raise InputError(
            f"{whole} means the images in {path} at the size after the @, and there is no {path}. "
            f"Rename the folder {whole}, or link to it by another name."
        )


def source_with_options(
    name: str, settings: Mapping[str, Any] | None, reading: Mapping[str, Any]
) -> tuple[Source, ReadOptions]:
    """A source, and how it is read; `reading` holds arguments of `load`."""
    source, size = find_source(name, settings)
    return source, read_options(
        size or reading.get("image_size"),
        reading.get("resize", "crop"),
        reading.get("channels"),
        reading.get("split_train"),
        reading.get("split_test"),
    )


def split_size(name: str) -> tuple[str, str | None]:
    """`"stl10@32"` as `("stl10", "32")`: the name of a dataset, and the size that it names."""
    base, separator, size = name.rpartition("@")
    if not separator or not _SIZE.fullmatch(size):
        return name, None
    return base, size


def _info(
    name: str,
    augmentation: str | None,
    opened: OpenSource,
    train: Examples,
    validation: Examples,
    test: Examples,
) -> DatasetInfo:
    stored = isinstance(train.images, StoredImages)
    mean, std = train.images.statistics() if stored else channel_statistics(train.images)
    notes = (
        *describe_use(opened, train, validation, test),
        *opened.notes,
        *describe_gaps(opened.class_names, train, validation, test),
    )
    return info_of(name, augmentation, opened, mean, std, notes)


def info_of(
    name: str,
    augmentation: str | None,
    opened: OpenSource,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    notes: tuple[str, ...],
) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        class_names=opened.class_names,
        image_shape=opened.image_shape,
        split_sizes=opened.split_sizes,
        mean=mean,
        std=std,
        augmentation=augmentation,
        citation=opened.citation,
        resize=opened.resize,
        left_out=opened.left_out,
        notes=notes,
    )
