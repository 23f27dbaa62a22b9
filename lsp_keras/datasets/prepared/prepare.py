"""From the name of a dataset to files that are read by index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsp_keras.datasets._base import Folders, OpenSource
from lsp_keras.datasets._load import check_name, load, source_with_options, split_size
from lsp_keras.datasets._notes import describe_left_out
from lsp_keras.datasets.prepared.source import check_new, write_prepared
from lsp_keras.storage import cache_dir as find_cache_dir
from lsp_keras.types import Dataset, Progress
from lsp_keras.validation import InputError


def prepare(
    name: str,
    to: Path | str,
    *,
    data_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    progress: Progress = lambda stage, done, total: None,
    announce: Callable[[str], None] = lambda text: None,
    **reading: Any,
) -> Dataset:
    """Writes a dataset so that training on it takes no memory for its images.

    Images are decoded, brought to their size and written once, as PNG files in one ArrayRecord
    file for each split, with labels, statistics and fingerprint beside them. `prepared:PATH` then
    names the dataset wherever a name is taken, and gives the same batches bit for bit.

    Args:
        name: Name of the dataset, as `load` takes it.
        to: Folder that must not exist yet.
        data_dir: Folder of TFDS's data, as `load` takes it.
        cache_dir: Folder for what is made once, as `load` takes it.
        progress: Function that is called with the split, the images done and their number.
        announce: Function that is told, before anything is written, what is and what is not used.
        reading: Arguments `image_size`, `resize`, `channels`, `split_train` and `split_test`, as
            for `load`.

    Returns:
        The dataset, from its files.

    Raises:
        InputError: As `load`, or there is something at `to`, or its name ends like a size.
    """
    folder = Path(to).expanduser()
    _check_name(folder)
    check_new(folder)
    source, options = source_with_options(name, None, reading)
    folders = Folders(Path(data_dir) if data_dir else None, find_cache_dir(cache_dir))
    opened = source.open(folders, options)
    announce(f"{_header(name, opened)}\nWriting to {folder}.")
    write_prepared(opened, name, source.augmentation, folder, progress)
    # Statistics and fingerprint are computed by the first load, and kept.
    dataset = load(f"prepared:{folder}", cache_dir=cache_dir)
    dataset.train.images.fingerprint()
    return dataset


def _check_name(to: Path) -> None:
    """Refuses a name that no later command could take for the folder."""
    check_name(f"prepared:{to}")
    base, size = split_size(f"prepared:{to}")
    if size is not None:
        raise InputError(
            f"prepared:{to} would mean {base} with images of the size {size}. Name a folder "
            f"without @{size} at its end."
        )


def _header(name: str, opened: OpenSource) -> str:
    """What is going to be written, as `describe_data` says it of images that were read."""
    shape = "x".join(map(str, opened.image_shape))
    splits = {"train": opened.train, "validation": opened.validation, "test": opened.test}
    counts = ", ".join(
        f"{len(split.labels):,} of {key}" for key, split in splits.items() if split is not None
    )
    return "\n".join(
        [
            f"Data: {name}, {len(opened.class_names)} classes, {shape}.",
            f"  Images: {counts}.",
            *(f"  {note}" for note in (*describe_left_out(opened), *opened.notes)),
        ]
    )
