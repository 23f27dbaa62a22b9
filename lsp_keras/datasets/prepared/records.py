"""Images in an ArrayRecord file, read by index on any number of threads."""

import contextlib
import io
import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lsp_keras.datasets._memory import channel_statistics
from lsp_keras.storage import fingerprint, fingerprint_anew, read_json, write_json
from lsp_keras.stored_images import Array, StoredImages
from lsp_keras.types import Images, Integers
from lsp_keras.validation import InputError, first_line

logger = logging.getLogger(__name__)

_FACTS = "facts"
_THREADS = 8


def write_records(path: Path, parts: Iterable[Images]) -> int:
    """Writes images as PNG files of one ArrayRecord file; returns their number.

    Args:
        path: The file.
        parts: Images, uint8 `(n, height, width, channels)`, some after the other.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    count = 0
    # One image in each group: a group is what is read at once.
    writer = ArrayRecordWriter(str(path), "group_size:1")
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            for images in parts:
                for file in pool.map(_encode, images):
                    writer.write(file)
                count += len(images)
    finally:
        writer.close()
    return count


class RecordImages(StoredImages):
    """Some images of a file that `write_records` wrote.

    Args:
        path: The file.
        places: Places of the images in the file, int64 `(n,)`.
        image_shape: Shape of an image, `(height, width, channels)`.
    """

    def __init__(self, path: Path, places: Integers, image_shape: tuple[int, int, int]) -> None:
        self.path = path
        self.places = places
        self.shape = (len(places), *image_shape)
        self._own = threading.local()

    def encoded(self, rows: Array) -> list[bytes]:
        places = self.places[np.asarray(rows).ravel()]
        with self._named_errors():
            found: list[bytes] = self._reader().read(places.tolist()) if len(places) else []
        return found

    def decoded(self, rows: Array) -> Array:
        files = self.encoded(rows)
        images = np.empty((len(files), *self.shape[1:]), np.uint8)
        with self._named_errors():
            for place, file in enumerate(files):
                images[place] = np.asarray(Image.open(io.BytesIO(file))).reshape(self.shape[1:])
        return images.reshape(*np.shape(rows), *self.shape[1:])

    def taken(self, rows: Array) -> "RecordImages":
        height, width, channels = self.shape[1:]
        return RecordImages(self.path, self.places[rows], (height, width, channels))

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Statistics that are computed once, as `fingerprint` is, and kept beside the file."""
        facts = self._facts()
        return tuple(facts["mean"]), tuple(facts["std"])

    def fingerprint(self) -> str:
        return str(self._facts()["fingerprint"])

    def _facts(self) -> dict[str, Any]:
        path = self.path.with_name(f"{self.path.stem}.{_FACTS}-{fingerprint(self.places)}.json")
        known = _read_facts(path)
        if known is not None:
            return known
        mean, std = channel_statistics(self)
        facts = {"mean": mean, "std": std, "fingerprint": fingerprint_anew(self)}
        try:
            write_json(path, facts)
        except OSError:
            # A folder that is only read gives the same numbers, each time anew.
            return dict(facts)
        return facts

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Names the file in whatever parsers raise for its damaged bytes."""
        try:
            yield
        except Exception as error:
            raise InputError(
                f"{self.path} is damaged, or holds other images than {self.path.stem} of a "
                f"prepared dataset ({first_line(error)}). Prepare it again."
            ) from error

    def _reader(self) -> Any:
        """One for each thread: reading moves a place in the file."""
        if not hasattr(self._own, "reader"):
            from array_record.python.array_record_module import ArrayRecordReader

            self._own.reader = ArrayRecordReader(str(self.path))
        return self._own.reader

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_own"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _own=threading.local())


def _read_facts(path: Path) -> dict[str, Any] | None:
    """What is kept of the images; `None` where there is nothing, or it is damaged."""
    if not path.is_file():
        return None
    try:
        facts = read_json(path)
        numbers = [float(value) for name in ("mean", "std") for value in facts[name]]
        if numbers and isinstance(facts["fingerprint"], str):
            return facts
    except (InputError, KeyError, TypeError, ValueError) as error:
        logger.warning("%s is damaged and made again: %s", path, error)
    return None


def _encode(image: Images) -> bytes:
    stream = io.BytesIO()
    # A file that is fast to write and to read; each level smaller costs more than it saves.
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
        stream, "PNG", compress_level=1
    )
    return stream.getvalue()
