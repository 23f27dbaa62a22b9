"""Checks of the values an attack is given and of those it computes."""

import numpy as np
import numpy.typing as npt

from lsp_keras.types import Examples, Floats, Integers
from lsp_keras.validation import InputError, check_integers, check_shape, clip_rounding


class NonFiniteError(ArithmeticError):
    """Logits or images are NaN or infinite: the attack failed, the model is not thereby robust."""


def check_batch(
    images: npt.ArrayLike, labels: npt.ArrayLike, indices: npt.ArrayLike | None
) -> Examples:
    """The input as arrays of one length.

    Raises:
        InputError: Images are not floats in [0, 1], or lengths or types do not fit.
    """
    pixels = check_images(images)
    keys = np.arange(len(pixels)) if indices is None else indices
    return Examples(
        pixels,
        check_integers("labels", labels, len(pixels)),
        check_integers("indices", keys, len(pixels)),
    )


def check_images(images: npt.ArrayLike) -> Floats:
    """Images as float32 `(n, height, width, channels)`.

    Raises:
        InputError: They are empty, not floats, not finite, or not in [0, 1] up to rounding.
    """
    pixels = np.asarray(images)
    check_shape("images", pixels.shape, 4, "(batch, height, width, channels)")
    if len(pixels) == 0:
        raise InputError("`images` must hold at least one image. Received: none.")
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InputError(
            f"`images` must be floats in [0, 1]. Received: dtype={pixels.dtype}. "
            "Divide 8-bit images by 255."
        )
    pixels = clip_rounding(pixels)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0.0 and high <= 1.0):
        hint = " Divide 8-bit images by 255." if high > 1.0 else ""
        raise InputError(
            f"`images` must be in [0, 1]. Received: values from {low:g} to {high:g}.{hint}"
        )
    return pixels.astype(np.float32, copy=False)


def check_labels(labels: Integers, num_classes: int) -> None:
    """Raises `InputError` unless every label is one of the model's classes."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise InputError(
            f"`labels` must be in [0, {num_classes - 1}], the model has {num_classes} classes. "
            f"Received: labels from {low} to {high}."
        )


def check_finite(values: Floats, what: str) -> None:
    """Raises `NonFiniteError` if any value is NaN or infinite."""
    broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if broken.any():
        raise NonFiniteError(
            f"The {what} are not finite for {int(broken.sum())} of {len(values)} images. "
            "Such a model or attack has failed; its robustness cannot be measured."
        )
