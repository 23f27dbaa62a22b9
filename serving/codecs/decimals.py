"""Floating-point numbers as JSON, with the digits that TensorFlow Serving writes.

It writes six significant digits where they read back as the same number, else nine (float32)
or seventeen (float64). orjson writes the shortest digits that give the same float64. So each
float32 is replaced by the float64 nearest to its six- or nine-digit decimal, which orjson then
prints with just these digits, at a speed no loop in Python reaches.
"""

import numpy as np
import orjson

from lsp_keras.serving.models.signatures import Array

# 10**22 is the largest power of ten that a float64 holds exactly.
_LARGEST_EXACT_POWER = 22
# Numbers of 17 digits, which no float32 becomes; chosen anew if a float64 tensor holds one.
_PLACEHOLDERS = (1.2345678901234567e-301, 1.2345678901234567e-302, 1.2345678901234567e-303)
# Up to so many numbers a loop is faster than the fixed cost of NumPy calls.
_FEW = 64
_TOKENS = (b"NaN", b"Infinity", b"-Infinity")


def dump_numbers(array: Array) -> bytes:
    """JSON of a float32 or float64 tensor; NaN and Infinity are written as such."""
    finite = np.isfinite(array)
    if finite.all():
        return orjson.dumps(_printable(array), option=orjson.OPT_SERIALIZE_NUMPY)
    return _dump_with_tokens(array, finite)


def _printable(array: Array) -> Array:
    """What orjson has to print, C-contiguous."""
    exact = shortest_decimals(array) if array.dtype == np.float32 else array
    return np.ascontiguousarray(exact)


def _dump_with_tokens(array: Array, finite: Array) -> bytes:
    values = _printable(np.where(finite, array, array.dtype.type(0)))
    values = values.astype(np.float64)
    placeholders = list(_PLACEHOLDERS)
    while np.isin(placeholders, values).any():
        placeholders = [number / 10 for number in placeholders]
    places = (np.isnan(array), np.isposinf(array), np.isneginf(array))
    for place, number in zip(places, placeholders, strict=True):
        values[place] = number
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    for number, token in zip(placeholders, _TOKENS, strict=True):
        text = text.replace(orjson.dumps(number), token)
    return text


def shortest_decimals(array: Array) -> Array:
    """For each finite float32 the float64 nearest to its decimal of six or nine digits."""
    flat = array.reshape(-1)
    values = flat.astype(np.float64)
    if values.size <= _FEW:
        return np.array([_shortest_decimal(number) for number in values.tolist()]).reshape(
            array.shape
        )
    six = round_significant(values, 6)
    reads_back = six.astype(np.float32) == flat
    if not reads_back.all():
        six[~reads_back] = round_significant(values[~reads_back], 9)
    return six.reshape(array.shape)


def _shortest_decimal(number: float) -> float:
    """The same for one number."""
    six = float(f"{number:.6g}")
    return six if np.float32(six) == number else float(f"{number:.9g}")


def round_significant(values: Array, digits: int) -> Array:
    """Nearest float64 to each float32's decimal with that many significant digits.

    Args:
        values: Numbers, float64 `(n,)`, each of which a float32 holds.
        digits: Number of significant digits, 6 or 9.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        magnitude = np.abs(values)
        exponents = digits - 1 - np.floor(np.log10(magnitude))
        # An exact power of ten, by which the number is multiplied or divided.
        power = 10.0 ** np.minimum(np.abs(exponents), _LARGEST_EXACT_POWER)
        scaled = np.where(exponents >= 0, magnitude * power, magnitude / power)
        whole = np.rint(scaled)
        rounded = np.where(exponents >= 0, whole / power, whole * power)
        # Too close to a tie to be sure after the multiplication's own rounding, or scaled by
        # an inexact power, or to one digit too many or too few.
        doubtful = (
            (np.abs(np.abs(scaled - whole) - 0.5) < 1e-5)
            | (np.abs(exponents) > _LARGEST_EXACT_POWER)
            | (scaled < 10 ** (digits - 1))
            | (scaled >= 10**digits)
        )
    rounded[magnitude == 0] = 0.0
    doubtful &= magnitude > 0
    if doubtful.any():
        rounded[doubtful] = [float(f"{number:.{digits}g}") for number in magnitude[doubtful]]
    return np.copysign(rounded, values)
