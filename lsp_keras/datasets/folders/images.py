"""Image files: what their headers say, and their pixels, with errors that name the file."""

import collections
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

import tensorflow as tf
from PIL import ExifTags, Image

from lsp_keras.ops.image_files.decoding import FORMATS, decode_pixels, pixel_decoder
from lsp_keras.ops.resizing import SMALLEST_SIDE, fit_tensor
from lsp_keras.types import Images
from lsp_keras.validation import InputError

SUFFIXES = (".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png")
# Images to everybody else; see `lsp_keras.ops.image_files.decoding` for why they are not read.
OTHER_SUFFIXES = (
    *(".avif", ".heic", ".heif", ".ico", ".jp2", ".pbm", ".pgm", ".pnm", ".ppm"),
    *(".psd", ".svg", ".tga", ".tif", ".tiff", ".webp"),
)
_CHUNK = 256
# Shorter sides between which the usual size of the files is taken as it is. Below, no model
# takes them; above, training takes long, and who wants that says so.
_LARGEST = 64
_SIDEWAYS = range(5, 9)
_GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\]", re.DOTALL)

Size = tuple[int, int]


class Header(NamedTuple):
    """What is known of a file without decoding it.

    Attributes:
        size: Height and width as the image is looked at, its EXIF orientation applied.
        gray: Whether it has no colors.
        problem: Why it cannot be read on both sides, or `None`.
    """

    size: Size
    gray: bool
    problem: str | None


def read_headers(paths: Sequence[Path]) -> list[Header]:
    """Headers of files, several at a time.

    Raises:
        InputError: A file is no image.
    """
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        return list(executor.map(_read_header, paths))


def usual_size(counts: Mapping[Size, int]) -> Size:
    """The size that suits images of these sizes.

    It is the size that at least half of the images have, else a square with the median of the
    shorter sides; where the shorter side is below 16 or above 64, it is brought there.

    Args:
        counts: Number of images of each `(height, width)`.
    """
    size = max(counts, key=lambda size: (counts[size], size))
    if 2 * counts[size] < sum(counts.values()):
        sides = sorted(min(size) for size, count in counts.items() for _ in range(count))
        size = (median_low(sides), median_low(sides))
    shorter = min(size)
    wanted = min(max(shorter, SMALLEST_SIDE), _LARGEST)
    height, width = (max(1, round(side * wanted / shorter)) for side in size)
    return height, width


def read_images(
    paths: Sequence[Path], shape: tuple[int, int, int], resize: str
) -> Iterator[Images]:
    """Decoded images of one shape, in chunks.

    Args:
        paths: Files.
        shape: Shape of each resulting image, `(height, width, channels)`.
        resize: How images of another size are brought to it, see `lsp_keras.ops.resizing`.

    Yields:
        uint8 `(k, height, width, channels)`.

    Raises:
        InputError: A file is damaged; the message names it.
    """
    pixels_of = pixel_decoder(shape[-1])

    @tf.autograph.experimental.do_not_convert
    def decode(path: tf.Tensor) -> tf.Tensor:
        return fit_tensor(pixels_of(tf.io.read_file(path)), shape[:2], resize)

    # As the bytes they are: not every name is UTF-8.
    names = tf.constant([os.fsencode(path) for path in paths], tf.string)
    dataset = tf.data.Dataset.from_tensor_slices(names)
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    done = 0
    try:
        for images in dataset.batch(_CHUNK).as_numpy_iterator():
            yield images
            done += len(images)
    except tf.errors.OpError as error:
        raise _named(paths[done : done + _CHUNK]) or error from error


def count_sizes(headers: Sequence[Header]) -> collections.Counter[Size]:
    """Number of images of each size."""
    return collections.Counter(header.size for header in headers)


def _read_header(path: Path) -> Header:
    try:
        with Image.open(path) as image:
            size = image.height, image.width
            if _is_sideways(image):
                size = size[::-1]
            return Header(size, image.mode in _GRAY_MODES, _problem(image))
    # Pillow's readers raise anything for damaged bytes, SyntaxError and EOFError among it.
    except Exception as error:
        raise _unreadable(path, str(error) or type(error).__name__) from error


def _is_sideways(image: Image.Image) -> bool:
    """Whether EXIF says that height and width change places; damaged EXIF says nothing."""
    if image.format not in ("JPEG", "MPO"):
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
    # The pixels are decoded all the same, in training and by a server.
    except Exception:
        return False


def _problem(image: Image.Image) -> str | None:
    # Phones write several pictures into one JPEG, and Pillow then calls it MPO.
    if image.format not in (*FORMATS, "MPO"):
        return f"{image.format}, which a server cannot decode: convert them to PNG"
    if image.format == "BMP" and image.mode not in ("RGB", "RGBA"):
        return "BMP with a palette: convert them to PNG"
    return None


def _named(paths: Sequence[Path]) -> InputError | None:
    """The error of the first file that cannot be decoded."""
    # A graph's assertions have one form, those outside of it another.
    decode = tf.function(decode_pixels, input_signature=[tf.TensorSpec((), tf.string)])
    for path in paths:
        try:
            decode(tf.io.read_file(os.fsencode(path)))
        except tf.errors.OpError as error:
            # What went wrong is the last paragraph, between the calls and the node of the graph.
            text = error.message.partition("\n\t [[{{node")[0].rpartition("\n\n")[2]
            found = _ASSERTION.search(text)
            reason = found[1] if found else text.partition("} ")[2] or text
            return _unreadable(path, reason.partition(" [Op:")[0])
    return None


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be read as an image ({reason}). Mend or remove it.")
