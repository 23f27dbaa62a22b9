"""From the name of a dataset to files that are read by index."""

from pathlib import Path
from typing import Any

from lsp_keras.datasets._base import Folders
from lsp_keras.datasets._load import load, source_with_options
from lsp_keras.datasets.prepared.source import write_prepared
from lsp_keras.storage import cache_dir as find_cache_dir
from lsp_keras.types import Dataset, Progress


def prepare(
    name: str,
    to: Path | str,
    *,
    data_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    progress: Progress = lambda stage, done, total: None,
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
        reading: Arguments `image_size`, `resize`, `channels`, `split_train` and `split_test`, as
            for `load`.

    Returns:
        The dataset, from its files.

    Raises:
        InputError: As `load`, or there is something at `to`.
    """
    source, options = source_with_options(name, None, reading)
    folders = Folders(Path(data_dir) if data_dir else None, find_cache_dir(cache_dir))
    opened = source.open(folders, options)
    write_prepared(opened, name, source.augmentation, Path(to), progress)
    # Statistics and fingerprint are computed by the first load, and kept.
    dataset = load(f"prepared:{to}", cache_dir=cache_dir)
    dataset.train.images.fingerprint()
    return dataset
