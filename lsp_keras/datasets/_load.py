"""From the name of a dataset to its images."""

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsp_keras import registry
from lsp_keras.datasets._base import Folders, OpenSource, Source
from lsp_keras.datasets._cut import Counts, choose_rows
from lsp_keras.datasets._folder import FolderSource
from lsp_keras.datasets._memory import channel_statistics, map_parts, read_parts
from lsp_keras.datasets._tfds import TFDSSource
from lsp_keras.storage import cache_dir as find_cache_dir
from lsp_keras.types import Dataset, DatasetInfo, Split
from lsp_keras.validation import InputError, check_positive

# Sources that take what follows the colon, for example "tfds:cifar100".
SCHEMES: dict[str, Callable[[str], Source]] = {"folder": FolderSource, "tfds": TFDSSource}
MEMORY_LIMIT = 4 * 2**30


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    download: bool = True,
    num_train: int | None = None,
    num_test: int | None = None,
    validation_size: int | None = None,
    seed: int = 0,
    memory_limit: int = MEMORY_LIMIT,
    settings: Mapping[str, Any] | None = None,
) -> Dataset:
    """Loads a dataset, with a validation split cut from its training images.

    Args:
        name: A registered name such as `"cifar10"`, `"tfds:NAME"` for any TFDS dataset for
            image classification, or `"folder:PATH"` for a folder with one folder of images per
            class. `@SIZE` at the end, as in `"stl10@32"`, resizes the images.
        data_dir: Folder of prepared TFDS datasets; default `$TFDS_DATA_DIR` or
            `~/tensorflow_datasets`. It is only read where it is not writable.
        cache_dir: Folder for what is prepared; default as in `lsp_keras.storage.cache_dir`.
        download: Whether a dataset that is not there may be downloaded.
        num_train: Limits the training images, after the validation split was cut.
        num_test: Limits the test images.
        validation_size: Default a tenth of the training images, at most 1,000.
        seed: Of the validation cut and of the choice where images are limited. The same seed
            gives the same images, and fewer of them are a subset of more.
        memory_limit: Bytes. Images that take more are kept in memory-mapped files in the cache.
        settings: Arguments of the dataset's own, for a registered one that has some.

    Returns:
        uint8 images and int64 labels; mean and std are those of the training images.

    Raises:
        InputError: Unknown name, missing or unfit data, or a limit out of range.

    Example:
        >>> import lsp_keras.datasets
        >>> lsp_keras.datasets.load("digits", num_train=500).train.images.shape
        (500, 16, 16, 3)
    """
    check_positive("seed", seed, allow_zero=True)
    source, size = find_source(name, settings)
    folders = Folders(Path(data_dir) if data_dir else None, find_cache_dir(cache_dir), download)
    opened = source.open(folders, size)
    counts = Counts(num_train, validation_size, num_test)
    rows = choose_rows(len(opened.train.positions), len(opened.test.positions), counts, seed)
    read: Callable[..., list[Split]] = read_parts
    if sum(map(len, rows)) * math.prod(opened.image_shape) > memory_limit:
        read = functools.partial(map_parts, folder=folders.cache / "images")
    train, validation = read(opened, opened.train, (rows.train, rows.validation))
    (test,) = read(opened, opened.test, (rows.test,))
    mean, std = channel_statistics(train.images)
    return Dataset(_info(name, source, opened, mean, std), train, validation, test)


def find_source(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Source, int | None]:
    """The source that a name stands for, and the size after its `@`.

    Args:
        name: See `load`.
        settings: Likewise.

    Raises:
        InputError: There is none.
    """
    base, size = _split_size(name)
    scheme, _, rest = base.partition(":")
    if scheme in SCHEMES and rest:
        return SCHEMES[scheme](rest), size
    try:
        source = registry.get("dataset", base)
    except InputError as error:
        raise InputError(
            f"{error} Or tfds:NAME for any TFDS dataset, or folder:PATH for a folder of images."
        ) from None
    return (source(**(settings or {})) if isinstance(source, type) else source), size


def _split_size(name: str) -> tuple[str, int | None]:
    """`"stl10@32"` as `("stl10", 32)`."""
    base, separator, size = name.rpartition("@")
    if not separator or not size.isdecimal():
        return name, None
    check_positive("the size after @", int(size))
    return base, int(size)


def _info(
    name: str,
    source: Source,
    opened: OpenSource,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        class_names=opened.class_names,
        image_shape=opened.image_shape,
        split_sizes=opened.split_sizes,
        mean=mean,
        std=std,
        augmentation=source.augmentation,
        citation=opened.citation,
    )
