"""Checks of what users pass in, with messages that say how to mend it."""

import difflib
import math
from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

_PIXEL_ROUNDING = 1e-5


class InputError(ValueError):
    """Wrong input: the message says what was wrong, what was expected and how to mend it.

    The command line prints the message alone and exits with 2.
    """


def parse_fraction(text: str | float) -> float:
    """Number written as a decimal or as a fraction.

    Args:
        text: For example `"8/255"`, `"0.03"` or `0.03`.

    Returns:
        The nearest float.

    Raises:
        InputError: The text is neither.

    Example:
        >>> parse_fraction("8/255") == 8 / 255
        True
    """
    try:
        if isinstance(text, str):
            parts = [part.strip() for part in text.split("/")]
            if len(parts) == 2:
                return float(Fraction(parts[0]) / Fraction(parts[1]))
        return float(text)
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise InputError(
            f"Expected a number or a fraction such as 8/255. Received: {text!r}."
        ) from error


def check_epsilon(epsilon: float, norm: str = "linf") -> float:
    """Perturbation budget on the [0, 1] pixel scale, returned unchanged.

    Args:
        epsilon: Radius of the ball.
        norm: `"linf"`, `"l2"` or `"l1"`. Only the L-inf radius has an upper limit of 1.

    Raises:
        InputError: `epsilon` is not positive and finite, or over 1 for L-inf.
    """
    hint = f"; did you mean {epsilon:g}/255?" if 1 < epsilon <= 255 else "."
    if norm == "linf" and not 0 < epsilon <= 1:
        raise InputError(
            f"`epsilon` must be in (0, 1]. Received: epsilon={epsilon:g}. "
            f"Pixel values are on the [0, 1] scale{hint}"
        )
    if not (0 < epsilon < math.inf):
        raise InputError(
            f"`epsilon` must be positive and finite. Received: epsilon={epsilon:g}. "
            f"Pixel values are on the [0, 1] scale."
        )
    return epsilon


def check_positive(name: str, value: float, *, allow_zero: bool = False) -> None:
    """Raises `InputError` unless `value` is finite and positive (or zero, where allowed)."""
    if not math.isfinite(value) or value < 0 or (value == 0 and not allow_zero):
        bound = "zero or more" if allow_zero else "greater than zero"
        raise InputError(f"`{name}` must be {bound}. Received: {name}={value!r}.")


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """The value, if it is one of the choices.

    Raises:
        InputError: It is not; the message lists the choices and the nearest match.
    """
    if value in choices:
        return value
    raise InputError(
        f"`{name}` must be {listing(choices)}. Received: {value!r}.{nearest(value, choices)}"
    )


def nearest(value: str, choices: Collection[str]) -> str:
    """` Did you mean ...?` for the choice closest to `value`, or an empty string."""
    matches = difflib.get_close_matches(value, list(choices), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def listing(choices: Collection[str]) -> str:
    """`one of 'a', 'b', 'c'`, as error messages write it."""
    quoted = ", ".join(repr(choice) for choice in choices)
    return f"one of {quoted}" if len(choices) > 1 else quoted


def clip_rounding(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Pixels with what rounding has put just outside of [0, 1] put back; others as they are.

    Resizing and changes of colors end at 1.0000002 rather than at 1. That is no reason to refuse
    an image; a pixel farther out is another range and stays for `check_images` to refuse.
    """
    low, high = pixels.min(), pixels.max()
    outside = low < 0.0 or high > 1.0
    if outside and low >= -_PIXEL_ROUNDING and high <= 1.0 + _PIXEL_ROUNDING:
        return np.clip(pixels, 0.0, 1.0)
    return pixels


def check_shape(name: str, shape: Sequence[int | None], rank: int, layout: str) -> None:
    """Raises `InputError` unless the shape has the rank; `layout` is named in the message."""
    if len(shape) != rank:
        raise InputError(f"`{name}` must have shape {layout}. Received: shape={tuple(shape)}.")
