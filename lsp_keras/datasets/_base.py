"""What a dataset file offers: a source that is opened first and read afterwards."""

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lsp_keras.places import check_local
from lsp_keras.stored_images import StoredImages
from lsp_keras.types import Images, Integers
from lsp_keras.validation import InputError

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

    def __post_init__(self) -> None:
        for folder in (self.data, self.cache):
            check_local(folder)


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read.

    Attributes:
        size: Height and width of all images; `None` for what suits the source.
        resize: How images of another size are brought to it, see `lsp_keras.ops.resizing`.
        channels: Number of channels, 3 for RGB or 1 for gray; `None` for what suits the source.
        split_train: Name of the split to train on; `None` for the usual one.
        split_test: Name of the split to test on; `None` for the usual one.
    """

    size: tuple[int, int] | None = None
    resize: str = "crop"
    channels: int | None = None
    split_train: str | None = None
    split_test: str | None = None

    def refuse_splits(self, name: str) -> None:
        """Raises `InputError` where splits are named for a source that has no names for them."""
        if self.split_train is not None or self.split_test is not None:
            raise InputError(f"{name} has no named splits: leave out --split-train, --split-test.")


@dataclass(frozen=True)
class SourceSplit:
    """Labeled images that have not been read yet.

    Attributes:
        positions: Positions of this split's images in the source, int64 `(n,)`, ascending.
        labels: Labels of the images, int64 `(n,)`.
        read: Function that takes some of the positions, ascending, and yields uint8 images
            `(k, height, width, channels)` with their int64 labels `(k,)`, in that order.
        encoded: Function that takes some of the positions, ascending, and yields the image files
            that they come from; `None` where the images do not come from files.
        stored: Function that takes rows and gives their images without reading them; `None` where
            they must be read into memory.
    """

    positions: Integers
    labels: Integers
    read: Callable[[Integers], Chunks]
    encoded: Callable[[Integers], Iterator[bytes]] | None = None
    stored: Callable[[Integers], StoredImages] | None = None


@dataclass(frozen=True)
class OpenSource:
    """A source whose facts are known and whose images can be read.

    Attributes:
        class_names: Names of the classes in label order.
        image_shape: Shape of an image, `(height, width, channels)`.
        split_sizes: Number of images in every split, as the data's own info states it.
        train: Images to train on.
        test: Images to test on.
        version: Text that changes whenever the images may have changed.
        citation: BibTeX or a plain reference; empty where none is known.
        validation: Images to choose an epoch by; `None` where they are cut from `train`.
        resize: How images of another size were brought to `image_shape`.
        left_out: Number of files or images that are not used, by reason.
        notes: Sentences that users should read, such as which images were resized.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    split_sizes: Mapping[str, int]
    train: SourceSplit
    test: SourceSplit
    version: str
    citation: str
    validation: SourceSplit | None = None
    resize: str = "crop"
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def one_line(name: str) -> str:
    """The name of a class as files hold it: one to a line, in UTF-8.

    What is no UTF-8 in a folder's name becomes U+FFFD.
    """
    text = name.encode(errors="surrogateescape").decode(errors="replace")
    return " ".join(text.split())


class Source(abc.ABC):
    """A dataset that can be chosen by name.

    Attributes:
        augmentation: Name of the augmentation that suits the images, or `None`.
    """

    augmentation: str | None

    @abc.abstractmethod
    def open(self, folders: Folders, options: ReadOptions) -> OpenSource:
        """Finds the data, without reading images.

        Args:
            folders: Where to look.
            options: How to read it.

        Raises:
            InputError: The data is missing, or it is not for image classification.
        """
