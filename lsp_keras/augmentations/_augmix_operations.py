"""The nine operations of AugMix, each image of a batch by one of its own.

Four change tones and five move pixels. Every image goes through one table and one resampling,
of which at most one does something: nine branches would cost nine times as much.
"""

import tensorflow as tf

from lsp_keras.augmentations import _affine, _tones

OPERATIONS = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
NO_OPERATION = -1

# An operation of strength 10 goes as far as this.
_STRONGEST = 10.0
_POSTERIZED_BITS = 4
_DEGREES = 30.0
_SHEAR = 0.3
_SHARE_OF_SIDE = 1 / 3


def apply_operations(
    levels: tf.Tensor, operations: tf.Tensor, strengths: tf.Tensor, signs: tf.Tensor
) -> tf.Tensor:
    """Each image, changed by its operation.

    Args:
        levels: Pixels, int32 `(batch, height, width, channels)` in [0, 255].
        operations: Places of the operations in `OPERATIONS`, or `NO_OPERATION`, int32 `(batch,)`.
        strengths: Strengths of the operations, float32 `(batch,)` in [0, 10].
        signs: Directions in which pixels move, float32 `(batch,)`, -1 or 1.

    Returns:
        As `levels`.

    References:
        `augmentations.py` of github.com/google-research/augmix. A translation of strength 10
        goes a third of the image's own side, and not of 32 pixels.
    """
    matrices = _matrices(levels, operations, strengths, signs)
    tables = _tables(levels, operations, strengths)
    # An image has only one of the two, so their order does not matter.
    return _tones.look_up(_affine.resample(levels, matrices), tables)


def _matrices(
    levels: tf.Tensor, operations: tf.Tensor, strengths: tf.Tensor, signs: tf.Tensor
) -> tf.Tensor:
    """For `resample`, float32 `(batch, 6)`."""
    height, width = levels.shape[1:3]
    signed = signs * strengths / _STRONGEST
    choices = {
        "rotate": _affine.rotate(_whole(signed * _DEGREES), (height, width)),
        "shear_x": _affine.shear_x(signed * _SHEAR),
        "shear_y": _affine.shear_y(signed * _SHEAR),
        "translate_x": _affine.translate_x(_whole(signed * (width * _SHARE_OF_SIDE))),
        "translate_y": _affine.translate_y(_whole(signed * (height * _SHARE_OF_SIDE))),
    }
    chosen = _affine.identity(tf.shape(levels)[0])
    for name, matrices in choices.items():
        chosen = tf.where(_drawn(name, operations)[:, tf.newaxis], matrices, chosen)
    return chosen


def _tables(levels: tf.Tensor, operations: tf.Tensor, strengths: tf.Tensor) -> tf.Tensor:
    """For `look_up`, int32 `(batch, channels, 256)`."""
    share = strengths / _STRONGEST
    bits = _POSTERIZED_BITS - tf.cast(share * _POSTERIZED_BITS, tf.int32)
    threshold = _tones.NUM_LEVELS - tf.cast(share * _tones.NUM_LEVELS, tf.int32)
    choices = {
        "autocontrast": _tones.autocontrast(levels),
        "equalize": _tones.equalize(levels),
        "posterize": _tones.posterize(bits),
        "solarize": _tones.solarize(threshold),
    }
    chosen = _tones.unchanged()
    for name, tables in choices.items():
        chosen = tf.where(_drawn(name, operations)[:, tf.newaxis, tf.newaxis], tables, chosen)
    return chosen


def _drawn(name: str, operations: tf.Tensor) -> tf.Tensor:
    return tf.equal(operations, OPERATIONS.index(name))


def _whole(values: tf.Tensor) -> tf.Tensor:
    """Values cut off after the point, as the reference does with degrees and pixels."""
    return tf.cast(tf.cast(values, tf.int32), tf.float32)
