"""Checks of what users pass in, with messages that say how to mend it."""

import difflib
import math
import re
import stat
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

_PIXEL_ROUNDING = 1e-5

_LONGEST_SHOWN = 200
# Exact fractions of longer numbers, or of larger powers of ten, would take for ever.
_NUMBER = re.compile(r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})(e[+-]?\d{1,2})?", re.IGNORECASE)


class InputError(ValueError):
    """Wrong input: the message says what was wrong, what was expected and how to mend it.

    The command line prints the message alone and exits with 2.
    """


def parse_fraction(text: str | float) -> float:
    """Number written as a decimal or as a fraction.

    Args:
        text: Number as a user writes it, for example `"8/255"`, `"0.03"` or `0.03`.

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
                return float(_exact(parts[0]) / _exact(parts[1]))
        return float(text)
    except (ValueError, ArithmeticError, TypeError) as error:
        raise InputError(
            f"Expected a number or a fraction such as 8/255. Received: {shown(text)}."
        ) from error


def parse_epsilon(epsilon: str | float, norm: str = "linf") -> float:
    """Perturbation budget on the [0, 1] pixel scale.

    Args:
        epsilon: Radius of the ball, a number or text such as `"8/255"`.
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`. Only the L-inf radius has an upper limit
            of 1.

    Raises:
        InputError: `epsilon` is no number, not positive and finite, or over 1 for L-inf.

    Example:
        >>> parse_epsilon("128/255", "l2") == 128 / 255
        True
    """
    epsilon = parse_fraction(epsilon)
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
    if not _is_finite(value) or value < 0 or (value == 0 and not allow_zero):
        bound = "zero or more" if allow_zero else "greater than zero"
        raise InputError(f"`{name}` must be {bound}. Received: {name}={shown(value)}.")


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """The value, if it is one of the choices.

    Raises:
        InputError: It is not; the message lists the choices and the nearest match.
    """
    if value in choices:
        return value
    raise InputError(
        f"`{name}` must be {listing(choices)}. Received: {shown(value)}.{nearest(value, choices)}"
    )


def check_file(path: Path, most_bytes: int) -> None:
    """Raises `InputError` for a file that reading might never come to the end of.

    That is a pipe, a device, a socket, and a file of more bytes than that. A folder passes, and so
    does what is not there: opening it says so.
    """
    try:
        status = path.stat()
    except OSError:
        return
    if stat.S_ISDIR(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} cannot be read: it is no file, but a pipe or a device.")
    if status.st_size > most_bytes:
        raise InputError(f"{path} cannot be read: it is over {most_bytes:,} bytes long.")


def shown(value: object) -> str:
    """A value as messages show it: what a stranger wrote may be long."""
    try:
        text = repr(value)
    except ValueError:
        # Python writes no number of more than 4,300 digits.
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def first_line(error: BaseException) -> str:
    """What another library says was wrong, in one line; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:_LONGEST_SHOWN] if lines else type(error).__name__


def nearest(value: str, choices: Collection[str]) -> str:
    """` Did you mean ...?` for the choice closest to `value`, or an empty string."""
    matches = difflib.get_close_matches(value[:_LONGEST_SHOWN], list(choices), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def listing(choices: Collection[str]) -> str:
    """`one of 'a', 'b', 'c'`, as error messages write it."""
    quoted = ", ".join(repr(choice) for choice in choices)
    return f"one of {quoted}" if len(choices) > 1 else quoted


def check_integers(name: str, values: "npt.ArrayLike", length: int) -> "npt.NDArray[Any]":
    """The values as int64 `(length,)`, whatever the width of the integers.

    A column `(length, 1)` is taken too: Keras's own datasets have their labels so.

    Raises:
        InputError: They are no integers, or not one for each image.
    """
    import numpy as np

    numbers = np.asarray(values)
    if numbers.shape == (length, 1):
        numbers = numbers[:, 0]
    if numbers.shape != (length,) or not np.issubdtype(numbers.dtype, np.integer):
        hint = " Take `argmax(axis=1)` of one-hot rows." if numbers.ndim == 2 else ""
        raise InputError(
            f"`{name}` must be integers of shape ({length},), one for each image. "
            f"Received: shape={numbers.shape}, dtype={numbers.dtype}.{hint}"
        )
    return numbers.astype(np.int64, copy=False)


def clip_rounding(pixels: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Pixels with what rounding has put just outside of [0, 1] put back; others as they are.

    Resizing and changes of colors end at 1.0000002 rather than at 1. That is no reason to refuse
    an image; a pixel farther out is another range and stays for `check_images` to refuse.
    """
    low, high = pixels.min(), pixels.max()
    outside = low < 0.0 or high > 1.0
    if outside and low >= -_PIXEL_ROUNDING and high <= 1.0 + _PIXEL_ROUNDING:
        return pixels.clip(0.0, 1.0)
    return pixels


def check_shape(name: str, shape: Sequence[int | None], rank: int, layout: str) -> None:
    """Raises `InputError` unless the shape has the rank; `layout` is named in the message."""
    if len(shape) != rank:
        raise InputError(f"`{name}` must have shape {layout}. Received: shape={tuple(shape)}.")


def _exact(text: str) -> Fraction:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a number: {shown(text)}")
    return Fraction(text)


def _is_finite(value: float) -> bool:
    """Whether a float holds the number; an int may be too large for that."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
