"""From the name of a dataset to its test images alone."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_keras.datasets._base import Folders
from lsp_keras.datasets._cut import Counts, choose_rows
from lsp_keras.datasets._load import MEMORY_LIMIT, info_of, source_with_options
from lsp_keras.datasets._memory import map_parts, read_parts
from lsp_keras.shards import Shard
from lsp_keras.storage import cache_dir as find_cache_dir
from lsp_keras.types import Examples, TestSplit
from lsp_keras.validation import InputError


def load_test(
    name: str,
    *,
    data_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    num_train: int | None = None,
    num_test: int | None = None,
    validation_size: int | None = None,
    seed: int = 0,
    shard: Shard | None = None,
    num_examples: int | None = None,
    settings: Mapping[str, Any] | None = None,
    **reading: Any,
) -> TestSplit:
    """The test images of a dataset alone: no image of another split is read.

    Args:
        name: Name of the dataset, as `load` takes it.
        data_dir: Folder of TFDS's data, as `load` takes it.
        cache_dir: Folder for what is made once, as `load` takes it.
        num_train: Number of training images; it is checked only.
        num_test: Number of test images, as `load` takes it.
        validation_size: Training images held out; it is checked only.
        seed: Seed of the choice of images, as `load` takes it.
        shard: Which share of the images is read; default all of them.
        num_examples: Only the first so many, before they are dealt out to shards.
        settings: Settings of the dataset's own, as `load` takes them.
        reading: Arguments `image_size`, `resize`, `channels`, `split_train` and `split_test`, as
            for `load`.

    Raises:
        InputError: As `load`, or there are fewer images than are asked for.
    """
    source, options = source_with_options(name, settings, reading)
    folders = Folders(Path(data_dir) if data_dir else None, find_cache_dir(cache_dir))
    opened = source.open(folders, options)
    own = None if opened.validation is None else opened.validation.labels
    counts = Counts(num_train, validation_size, num_test)
    rows = choose_rows(opened.train.labels, opened.test.labels, counts, seed, own).test
    total = len(rows)
    if num_examples is not None and num_examples > total:
        raise InputError(
            f"--num-examples {num_examples} is more than the {total} test images there are."
        )
    rows = rows[:num_examples]
    if shard is not None and len(rows) < shard.count:
        raise InputError(f"{len(rows)} images cannot be dealt out to {shard.count} shards.")
    chosen = rows if shard is None else rows[shard.rows(len(rows))]
    read: Callable[..., list[Examples]] = read_parts
    if len(chosen) * math.prod(opened.image_shape) > MEMORY_LIMIT:
        read = functools.partial(map_parts, folder=folders.cache / "images")
    (split,) = read(opened, opened.test, (chosen,))
    info = info_of(name, source.augmentation, opened, (), (), opened.notes)
    positions = opened.test.positions[rows]
    return TestSplit(replace(info, order_seed=seed), split, total, positions)
