"""Image files as pixels: the one decoder of training and serving.

What is learned from and what is served go through the same TensorFlow operators, so that a file
is the same image, bit for bit, on both sides. Therefore only formats are read that a SavedModel
can decode by itself: JPEG, PNG, BMP and GIF. Not WebP: the operator of TensorFlow 2.20 corrupts
the memory of the process when it is given an animated file, and a server gets files from anyone.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from lsp_keras.ops.image_files.bytes import ByteReader
from lsp_keras.ops.image_files.gif import opaque_gif
from lsp_keras.ops.image_files.orientation import exif_orientation, turn

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
_JPEG, _PNG, _BMP, _GIF = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8")
_UNKNOWN = (
    "The bytes are no image of a format that can be served. Send a JPEG, PNG, BMP or GIF file. "
    "First bytes received:"
)
_BAD_BMP = (
    "A BMP file must have 24 or 32 bits per pixel without compression. Save it as PNG. "
    "Bits per pixel and compression received:"
)
# A small file may claim a large image; one with transparency is also held in numbers of 32 bits.
MAX_PIXELS, MAX_TRANSPARENT_PIXELS = 2**26, 2**24
_LARGE = (
    f"An image may have {MAX_PIXELS} pixels, or {MAX_TRANSPARENT_PIXELS} with transparency. "
    "Send a smaller one. Height and width received:"
)
# Bytes of a file in which its header is looked for.
_HEAD = 2**16
# Luma of ITU-R BT.601 in 65536ths, as Pillow computes it.
_LUMA = (19595, 38470, 7471)


def decode_pixels(contents: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Pixels of one image file, as a viewer shows it on a white page.

    The orientation in a JPEG's EXIF data is applied; transparent pixels are laid on white; of
    16 bits the upper 8 are kept; CMYK becomes RGB; of an animation the first frame is taken.

    Args:
        contents: Bytes of a JPEG, PNG, BMP or GIF file, a string scalar.
        channels: Number of channels, 3 for RGB or 1 for gray, whatever the file holds.

    Returns:
        uint8 `(height, width, channels)`, of the file's own size.

    Raises:
        InvalidArgumentError: When it is evaluated, where the file is damaged, of another format, or
            has more pixels than `MAX_PIXELS`.
    """
    pixels = tf.cond(
        _is_plain_png(contents),
        lambda: tf.io.decode_png(_bounded(contents, *_png_size(contents)), channels=3),
        lambda: _decode_any(contents),
    )
    pixels.set_shape((None, None, 3))
    return pixels if channels == 3 else to_gray(pixels)


@functools.cache
def pixel_decoder(channels: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """`decode_pixels` as a function that is traced once, wherever a graph calls it.

    Tracing it takes longer than decoding hundreds of small files.

    Args:
        channels: Number of channels, 3 for RGB or 1 for gray, whatever the files hold.
    """

    def decode(contents: tf.Tensor) -> tf.Tensor:
        return decode_pixels(contents, channels)

    contents = tf.TensorSpec((), tf.string)
    decoder: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        decode, input_signature=[contents], autograph=False
    )
    return decoder


def _is_plain_png(contents: tf.Tensor) -> tf.Tensor:
    """Whether a PNG has neither an alpha channel nor any chunk between header and pixels.

    The files of prepared data sets are such ones, and are many: they take the short way.
    """
    # Zeros behind it, as a place beyond the end is an error.
    head = tf.strings.join([tf.strings.substr(contents, 0, 41), bytes(41)])
    opaque = tf.equal(tf.strings.substr(head, 25, 1), [b"\x00", b"\x02", b"\x03"])
    starts = tf.equal(tf.strings.substr(head, 0, len(_PNG)), _PNG)
    return starts & tf.equal(tf.strings.substr(head, 37, 4), b"IDAT") & tf.reduce_any(opaque)


def _decode_any(contents: tf.Tensor) -> tf.Tensor:
    branches = [_decode_jpeg, _decode_png, _decode_bmp, _decode_gif]
    matches = tf.stack(
        [
            tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)
            for magic in (_JPEG, _PNG, _BMP, _GIF)
        ]
    )
    # As numbers: an error that holds other bytes than text is no error that Python can read.
    start = tf.io.decode_raw(tf.strings.substr(contents, 0, 4), tf.uint8)
    known = tf.reduce_any(matches)
    with tf.control_dependencies([tf.debugging.Assert(known, [_UNKNOWN, start])]):
        index = tf.argmax(matches, output_type=tf.int32)
    return tf.switch_case(index, [lambda decode=decode: decode(contents) for decode in branches])


def to_gray(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 RGB `(..., 3)` as uint8 gray `(..., 1)`; gray pixels keep their value."""
    weighted = tf.cast(pixels, tf.int32) * tf.constant(_LUMA)
    luma = (tf.reduce_sum(weighted, axis=-1, keepdims=True) + 0x8000) // 0x10000
    return tf.cast(luma, tf.uint8)


def to_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """uint8 pixels with 1 or 3 channels, as uint8 with the other number if that is wanted."""
    if pixels.shape[-1] == channels:
        return pixels
    return to_gray(pixels) if channels == 1 else tf.repeat(pixels, 3, axis=-1)


def on_white(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 RGBA `(..., 4)` laid on white, as uint8 RGB `(..., 3)`."""
    color, alpha = tf.split(tf.cast(pixels, tf.int32), [3, 1], axis=-1)
    return tf.cast((color * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _bounded(
    contents: tf.Tensor, height: tf.Tensor, width: tf.Tensor, limit: int = MAX_PIXELS
) -> tf.Tensor:
    """The contents of a file, if the size that it states is one that may be decoded."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    with tf.control_dependencies([tf.debugging.Assert(pixels <= limit, [_LARGE, height, width])]):
        return tf.identity(contents)


def _png_size(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # Zeros behind it, for a file that is cut short.
    head = tf.strings.join([tf.strings.substr(contents, 0, 24), bytes(24)])
    stated = tf.strings.substr(head, 16, 8)
    width, height = tf.unstack(tf.io.decode_raw(stated, tf.int32, little_endian=False), 2)
    return height, width


def _decode_jpeg(contents: tf.Tensor) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.image.extract_jpeg_shape(contents), 3)
    contents = _bounded(contents, height, width)
    # The default transform is a fast one that differs from everybody else's by up to 18 of 255.
    pixels = tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")
    return turn(pixels, exif_orientation(contents))


def _decode_png(contents: tf.Tensor) -> tf.Tensor:
    reader = ByteReader(contents, _HEAD)
    # Of the header's color type, 4 stands for an alpha channel; a palette may have a chunk of its
    # own. Where there is neither, four channels are not asked for: TensorFlow fills the fourth
    # with 15 instead of 255 for a file with 4 bits.
    has_alpha = (reader.byte(25) // 4 % 2 == 1) | (reader.find(b"tRNS") < reader.find(b"IDAT"))
    size = _png_size(contents)
    return tf.cond(
        has_alpha,
        lambda: on_white(
            tf.io.decode_png(_bounded(contents, *size, MAX_TRANSPARENT_PIXELS), channels=4)
        ),
        lambda: tf.io.decode_png(_bounded(contents, *size), channels=3),
    )


def _decode_bmp(contents: tf.Tensor) -> tf.Tensor:
    """RGB of a BMP; TensorFlow would take a palette's numbers for gray values."""
    reader = ByteReader(contents, _HEAD)
    bits, compression = reader.little16(28), reader.little16(30)
    plain = (compression == 0) & ((bits == 24) | (bits == 32))
    # Compression 3 only names the order of the channels, for which one is usual.
    plain |= (compression == 3) & (bits == 32)
    with tf.control_dependencies([tf.debugging.Assert(plain, [_BAD_BMP, bits, compression])]):
        return tf.io.decode_bmp(tf.identity(contents), channels=0)[..., :3]


def _decode_gif(contents: tf.Tensor) -> tf.Tensor:
    reader = ByteReader(contents, _HEAD)
    contents = _bounded(contents, reader.little16(8), reader.little16(6))
    return tf.io.decode_gif(opaque_gif(contents))[0]
