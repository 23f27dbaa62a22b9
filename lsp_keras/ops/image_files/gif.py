"""GIF files with their transparent pixels laid on white, and of one frame.

TensorFlow's operator makes transparent pixels black and tells nobody. A GIF has one transparent
entry of its palette, so that here this entry becomes white in the file itself, and opaque. It also
decodes all frames, which take thousands of times the bytes of a small file.

References:
    GIF89a specification, sections 18 (screen), 20 (image) and 23 (graphic control).
"""

import tensorflow as tf

from lsp_keras.ops.image_files.bytes import ByteReader

_LIMIT, _LONGEST = 2**18, 2**30
_HEADER = 13
_EXTENSION, _CONTROL, _IMAGE = 0x21, 0xF9, 0x2C
_EVERY_BYTE = [bytes([value]) for value in range(256)]
_SMALL = (
    "The first frame of the GIF does not cover the whole image, or none was found. "
    "Save it as PNG. Position of the frame:"
)


def opaque_gif(contents: tf.Tensor) -> tf.Tensor:
    """The first frame, with the transparent entry of its palette turned opaque white.

    Args:
        contents: Bytes of a GIF file, a string scalar.

    Raises:
        InvalidArgumentError: When it is evaluated, where the first frame leaves pixels undefined.
    """
    reader = ByteReader(contents, _LIMIT)
    palette = _palette_size(reader.byte(tf.constant(10)))
    image, control = _first_image(reader, _HEADER + palette)
    whole = reader.little16(image + 5) >= reader.little16(tf.constant(6))
    whole &= reader.little16(image + 7) >= reader.little16(tf.constant(8))
    whole &= (reader.byte(image) == _IMAGE) & (reader.little16(image + 1) == 0)
    whole &= reader.little16(image + 3) == 0
    flags = reader.byte(control + 3)
    own_palette = _palette_size(reader.byte(image + 9)) > 0
    entry = tf.where(own_palette, image + 10, _HEADER) + 3 * reader.byte(control + 6)
    whole &= entry + 3 <= reader.size
    # The frame's header, its palette, one byte on the codes, then the codes in blocks.
    start = image + 11 + _palette_size(reader.byte(image + 9))
    with tf.control_dependencies([tf.debugging.Assert(whole, [_SMALL, image])]):
        end = _skip_blocks(ByteReader(contents, _LONGEST), start)
        contents = tf.strings.join([tf.strings.substr(contents, 0, end), b";"])

    def patched() -> tf.Tensor:
        # Even values of the flags say that nothing is transparent.
        opaque = tf.gather(_EVERY_BYTE, flags - flags % 2)
        return _replaced(_replaced(contents, control + 3, opaque, 1), entry, b"\xff" * 3, 3)

    return tf.cond((control > 0) & (flags % 2 == 1), patched, lambda: contents)


def _first_image(reader: ByteReader, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Positions of the first frame and of the last graphic control before it, or 0."""

    def goes_on(position: tf.Tensor, control: tf.Tensor) -> tf.Tensor:
        return (position < reader.size) & (reader.byte(position) == _EXTENSION)

    def following(position: tf.Tensor, control: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_control = reader.byte(position + 1) == _CONTROL
        return _skip_blocks(reader, position + 2), tf.where(is_control, position, control)

    image, control = tf.while_loop(goes_on, following, (start, tf.constant(0)))
    return image, control


def _skip_blocks(reader: ByteReader, start: tf.Tensor) -> tf.Tensor:
    """Position behind the sub-blocks that start here; each states its length first."""

    def goes_on(position: tf.Tensor) -> tf.Tensor:
        return (reader.byte(position) > 0) & (position < reader.size)

    (end,) = tf.while_loop(goes_on, lambda at: (at + 1 + reader.byte(at),), (start,))
    return end + 1


def _palette_size(flags: tf.Tensor) -> tf.Tensor:
    """Bytes of the palette that packed flags announce."""
    return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)


def _replaced(contents: tf.Tensor, position: tf.Tensor, new: tf.Tensor, size: int) -> tf.Tensor:
    """The bytes with `size` of them at the position replaced."""
    rest = tf.strings.substr(contents, position + size, -1)
    return tf.strings.join([tf.strings.substr(contents, 0, position), new, rest])
