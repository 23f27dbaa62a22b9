"""Numbers out of the bytes of a file, in a graph."""

import tensorflow as tf


class ByteReader:
    """Bytes of a file; those behind its end are 0.

    Args:
        contents: Contents of the file, a string scalar.
        limit: Bytes that are looked at.
    """

    def __init__(self, contents: tf.Tensor, limit: int) -> None:
        start = tf.strings.substr(contents, 0, limit)
        # One more, so that there is something to gather from in an empty file.
        self._bytes = tf.concat([tf.io.decode_raw(start, tf.uint8), [tf.constant(0, tf.uint8)]], 0)
        self.size = tf.size(self._bytes) - 1

    def byte(self, position: tf.Tensor | int) -> tf.Tensor:
        """int32 values of the bytes at these int32 positions."""
        position = tf.convert_to_tensor(position)
        inside = (position >= 0) & (position < self.size)
        values = tf.gather(self._bytes, tf.where(inside, position, self.size))
        return tf.cast(values, tf.int32)

    def find(self, needle: bytes) -> tf.Tensor:
        """int32 position of the first occurrence; the size where there is none."""
        padded = tf.concat([self._bytes, tf.zeros(len(needle), tf.uint8)], 0)
        matches = tf.reduce_all(
            [padded[shift : shift + self.size] == value for shift, value in enumerate(needle)], 0
        )
        return tf.argmax(tf.concat([matches, [True]], 0), output_type=tf.int32)

    def big16(self, position: tf.Tensor | int) -> tf.Tensor:
        """int32 of two bytes, the more significant one first."""
        return 256 * self.byte(position) + self.byte(position + 1)

    def little16(self, position: tf.Tensor | int) -> tf.Tensor:
        """int32 of two bytes, the less significant one first."""
        return self.byte(position) + 256 * self.byte(position + 1)
