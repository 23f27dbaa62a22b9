"""What a dataset file offers: a source that is opened first and read afterwards."""

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lsp_keras.types import Images, Integers

Chunks = Iterator[tuple[Images, Integers]]


@dataclass(frozen=True)
class Folders:
    """Where datasets are looked for and kept.

    Attributes:
        data: Folder of prepared TFDS datasets; `None` means TFDS's own default.
        cache: Folder that may be written, see `lsp_keras.storage.cache_dir`.
        download: Whether a dataset that is in neither may be downloaded.
    """

    data: Path | None
    cache: Path
    download: bool = True


@dataclass(frozen=True)
class SourceSplit:
    """Labeled images that have not been read yet.

    Attributes:
        positions: int64 `(n,)`, ascending: where in the source the images of this split are.
        read: Takes some of the positions, ascending, and yields uint8 images
            `(k, height, width, channels)` with their int64 labels `(k,)`, in that order.
    """

    positions: Integers
    read: Callable[[Integers], Chunks]


@dataclass(frozen=True)
class OpenSource:
    """A source whose facts are known and whose images can be read.

    Attributes:
        class_names: In label order.
        image_shape: `(height, width, channels)`.
        split_sizes: Number of images in every split, as the data's own info states it.
        train: Images to train on; the validation split is cut from them.
        test: Images to test on.
        version: Changes whenever the images may have changed.
        citation: BibTeX or a plain reference; empty where none is known.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    split_sizes: Mapping[str, int]
    train: SourceSplit
    test: SourceSplit
    version: str
    citation: str


class Source(abc.ABC):
    """A dataset that can be chosen by name.

    Attributes:
        augmentation: Name of the augmentation that suits the images, or `None`.
    """

    augmentation: str | None

    @abc.abstractmethod
    def open(self, folders: Folders, size: int | None) -> OpenSource:
        """Finds the data, without reading images.

        Args:
            folders: Where to look.
            size: Height and width that images are resized to; `None` keeps the source's own.

        Raises:
            InputError: The data is missing, or it is not for image classification.
        """
