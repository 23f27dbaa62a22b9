"""Images that lie encoded in a file and are decoded when they are asked for."""

import abc
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_CHUNK = 1024


class StoredImages(abc.ABC):
    """Stands where an array of uint8 images stands, and takes no memory for them.

    What indexes it by rows, as NumPy does, gets those images as an array.

    Attributes:
        shape: Shape of all images together, `(n, height, width, channels)`.
        dtype: Type of the pixels, uint8.
        ndim: Number of axes, 4.
    """

    shape: tuple[int, ...]
    dtype = np.dtype(np.uint8)
    ndim = 4

    @abc.abstractmethod
    def encoded(self, rows: Array) -> list[bytes]:
        """The files of some images: PNG, so that nothing is lost.

        Args:
            rows: Rows of the images, int of any shape; files come in the flattened order.
        """

    @abc.abstractmethod
    def decoded(self, rows: Array) -> Array:
        """Some images, uint8 `(*rows.shape, height, width, channels)`."""

    @abc.abstractmethod
    def taken(self, rows: Array) -> "StoredImages":
        """Some of the images, still in their file."""

    @abc.abstractmethod
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel on the [0, 1] scale."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """As `lsp_keras.storage.fingerprint` of an array of the same images."""

    def chunks(self) -> Iterator[Array]:
        """All images, some after the other."""
        for start in range(0, len(self), _CHUNK):
            yield self[start : start + _CHUNK]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        return self.decoded(np.arange(len(self))[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        images = self.decoded(np.arange(len(self)))
        return images if dtype is None else images.astype(dtype)
