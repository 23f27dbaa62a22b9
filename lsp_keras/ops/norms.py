"""Norms of a whole image, one value per example, and the nuclear norm of a matrix."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lsp_keras.types import NORMS, Norm
from lsp_keras.validation import check_choice

# Of the largest singular value; below it float64 squares are rounding errors.
_SMALLEST_SINGULAR_VALUE = 1e-7


def linf_norm(values: tf.Tensor) -> tf.Tensor:
    """Largest absolute entry of each example.

    Args:
        values: Examples of any shape, `(batch, ...)`.

    Returns:
        `(batch,)`.
    """
    return tf.reduce_max(tf.abs(_flat(values)), axis=1)


def l2_norm(values: tf.Tensor) -> tf.Tensor:
    """Euclidean length of each example; its gradient at zero is zero, not NaN.

    Entries are squared in parts of the largest one, so that no square underflows or overflows.

    Args:
        values: Examples of any shape, `(batch, ...)`.

    Returns:
        `(batch,)`.
    """
    largest = tf.stop_gradient(_nonzero(linf_norm(values)))
    squares = tf.reduce_sum(tf.square(_flat(values) / largest[:, tf.newaxis]), axis=1)
    # The inner `where` keeps the derivative of the root finite where the outer one drops it.
    is_zero = tf.equal(squares, 0.0)
    return largest * tf.where(is_zero, 0.0, tf.sqrt(tf.where(is_zero, 1.0, squares)))


def l1_norm(values: tf.Tensor) -> tf.Tensor:
    """Sum of absolute entries of each example.

    Args:
        values: Examples of any shape, `(batch, ...)`.

    Returns:
        `(batch,)`.
    """
    return tf.reduce_sum(tf.abs(_flat(values)), axis=1)


_BY_NAME: dict[Norm, Callable[[tf.Tensor], tf.Tensor]] = {
    "linf": linf_norm,
    "l2": l2_norm,
    "l1": l1_norm,
}


def norm_of(values: tf.Tensor, norm: Norm) -> tf.Tensor:
    """Norm of each example, by name.

    Args:
        values: Examples of any shape, `(batch, ...)`.
        norm: Name of the norm, `"linf"`, `"l2"` or `"l1"`.

    Returns:
        `(batch,)`.

    Raises:
        InputError: There is no such norm.

    Example:
        >>> float(norm_of(tf.constant([[3.0, -4.0]]), "l2")[0])
        5.0
    """
    check_choice("norm", norm, NORMS)
    return _BY_NAME[norm](values)


def nuclear_norm(matrix: tf.Tensor) -> tf.Tensor:
    """Sum of the singular values; NaN where an entry is not finite.

    They are the roots of the eigenvalues of the columns' products with each other, in float64: for
    logits of many images and few classes that is a small matrix. With M = U S V^T the gradient is
    U V^T over the singular values that are not zero, and so zero at a matrix of zeros. It cannot
    be differentiated twice.

    Args:
        matrix: Matrix, float `(rows, columns)`; few columns are cheap.

    Returns:
        Scalar of the same type.

    Example:
        >>> float(nuclear_norm(tf.constant([[3.0, 0.0], [0.0, -4.0]])))
        7.0
    """
    return _nuclear_norm(matrix)


@tf.custom_gradient
def _nuclear_norm(matrix: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    finite = tf.reduce_all(tf.math.is_finite(matrix))
    values = tf.cast(tf.where(finite, matrix, tf.zeros_like(matrix)), tf.float64)
    squares, vectors = tf.linalg.eigh(tf.matmul(values, values, transpose_a=True))
    lengths = tf.sqrt(tf.maximum(squares, 0.0))
    kept = lengths > _SMALLEST_SINGULAR_VALUE * tf.reduce_max(lengths)
    inverse = tf.where(kept, 1.0 / tf.where(kept, lengths, 1.0), 0.0)
    polar = values @ tf.matmul(vectors * inverse, vectors, transpose_b=True)
    total = tf.where(finite, tf.reduce_sum(lengths), np.nan)
    slope = tf.cast(polar, matrix.dtype)
    return tf.cast(total, matrix.dtype), lambda upstream: upstream * slope


def unit_largest(values: tf.Tensor) -> tf.Tensor:
    """Each example divided by its largest absolute entry, so that none is too small to square.

    Args:
        values: Examples of any shape, `(batch, ...)`.

    Returns:
        As `values`; zero stays zero, and an example with NaN or an infinite entry becomes NaN.
    """
    return values / expand(_nonzero(linf_norm(values)), values)


def expand(per_example: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """`(batch,)` reshaped to `(batch, 1, ..., 1)`, so that it broadcasts against `like`."""
    return tf.reshape(per_example, [-1] + [1] * (like.shape.rank - 1))


def _flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, [tf.shape(values)[0], -1])


def _nonzero(sizes: tf.Tensor) -> tf.Tensor:
    """The sizes, with 1 in place of 0."""
    return tf.where(tf.equal(sizes, 0.0), 1.0, sizes)
