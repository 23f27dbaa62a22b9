"""Reading image files, with errors that name the file."""

import collections
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lsp_keras.types import Images
from lsp_keras.validation import InputError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_rgb(path: Path, size: int) -> Images:
    """One image as uint8 `(size, size, 3)`; stretched where it is not square.

    Raises:
        InputError: The file is no image, is damaged, or has more than 8 bits per channel.
    """
    with _opened(path) as image:
        if image.mode.startswith(("I", "F")):
            raise InputError(
                f"{path} has more than 8 bits per channel (mode {image.mode}). "
                "Convert it to an 8-bit image."
            )
        picture = image.convert("RGB")
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def usual_side(paths: Sequence[Path]) -> int:
    """The shorter side that most images have; the smaller one where two are as frequent.

    Raises:
        InputError: A file is no image.
    """
    counts: collections.Counter[int] = collections.Counter()
    for path in paths:
        # Only the header is read.
        with _opened(path) as image:
            counts[min(image.size)] += 1
    return max(counts, key=lambda side: (counts[side], -side))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    # Pillow's PNG reader raises SyntaxError for some damaged files.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} cannot be read as an image ({error}). Mend or remove it."
        ) from error
