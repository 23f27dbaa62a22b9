"""How a JPEG is to be turned before it is looked at: the orientation in its EXIF data.

References:
    CIPA DC-008 (Exif 2.32), 4.6.4 A, tag 0x0112; TIFF 6.0, section 2.
"""

import tensorflow as tf

from lsp_keras.ops.image_files.bytes import ByteReader

# EXIF data lie in one of the first segments, of at most 64 KiB each.
_LIMIT = 2**17
_ORIENTATION = 0x0112
_APP1 = 0xFFE1


def exif_orientation(contents: tf.Tensor) -> tf.Tensor:
    """The orientation 1 to 8 that a JPEG file states; 1, upright, where it states none.

    Args:
        contents: Bytes of the file, a string scalar.

    Returns:
        int32 scalar.
    """
    reader = ByteReader(contents, _LIMIT)
    # The marker (2 bytes) and the length (2) of the segment precede the name.
    name = reader.find(b"Exif\0\0")
    found = reader.big16(name - 4) == _APP1
    return tf.cond(found, lambda: _tiff_orientation(reader, name + 6), lambda: 1)


def turn(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels `(height, width, channels)`, turned and mirrored as the orientation says."""

    def changed() -> tf.Tensor:
        swapped = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
        mirrored = _is_one_of(orientation, (2, 3, 6, 7))
        flipped = _is_one_of(orientation, (3, 4, 7, 8))
        swapped = tf.cond(mirrored, lambda: tf.reverse(swapped, [1]), lambda: swapped)
        return tf.cond(flipped, lambda: tf.reverse(swapped, [0]), lambda: swapped)

    return tf.cond(orientation > 1, changed, lambda: pixels)


def _tiff_orientation(reader: ByteReader, start: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of a TIFF header, or 1."""
    # "II" stands for little-endian numbers, "MM" for big-endian ones.
    little = reader.byte(start) == ord("I")

    def number(position: tf.Tensor) -> tf.Tensor:
        return tf.where(little, reader.little16(position), reader.big16(position))

    # The upper half of the directory's offset is 0, as segments are shorter than 64 KiB.
    directory = start + number(start + tf.where(little, 4, 6))
    entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory), 512))
    values = tf.boolean_mask(number(entries + 8), number(entries) == _ORIENTATION)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _is_one_of(value: tf.Tensor, choices: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(choices))
