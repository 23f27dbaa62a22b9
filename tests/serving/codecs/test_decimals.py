"""Digits as TensorFlow Serving writes them."""

import json

import numpy as np
import pytest

from lsp_keras.serving.codecs.decimals import _PLACEHOLDERS, dump_numbers, shortest_decimals


def slow_decimal(number: np.float32) -> float:
    """Six significant digits if they read back, else nine, one number at a time."""
    six = f"{float(number):.6g}"
    return float(six) if np.float32(six) == number else float(f"{float(number):.9g}")


def test_every_magnitude_matches_the_slow_rule() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 50_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    expected = np.array([slow_decimal(value) for value in values])
    np.testing.assert_array_equal(shortest_decimals(values), expected)
    np.testing.assert_array_equal(np.signbit(shortest_decimals(values)), np.signbit(values))


@pytest.mark.parametrize("generator", ["uniform", "ties", "powers", "integers"])
def test_numbers_near_ties_and_powers_match_the_slow_rule(generator: str) -> None:
    rng = np.random.default_rng(1)
    values = {
        "uniform": rng.random(20_000),
        # Powers of two have decimals that end in 5 at any digit.
        "ties": 2.0 ** rng.integers(-60, 60, 5000) * rng.integers(1, 9, 5000),
        "powers": 10.0 ** rng.integers(-44, 38, 2000),
        "integers": rng.integers(-(2**40), 2**40, 5000).astype(float),
    }[generator].astype(np.float32)
    expected = np.array([slow_decimal(value) for value in values])
    np.testing.assert_array_equal(shortest_decimals(values), expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, b"0.1"),
        (1 / 3, b"0.333333343"),
        (16777216.0, b"16777216.0"),
        (1.0, b"1.0"),
        (-0.0, b"-0.0"),
        (3.4028235e38, b"3.40282347e+38"),
        (1e-45, b"1.4013e-45"),
        (float("nan"), b"NaN"),
        (float("-inf"), b"-Infinity"),
    ],
)
def test_known_numbers_alone_and_among_many(value: float, text: bytes) -> None:
    assert dump_numbers(np.array([value], np.float32)) == b"[" + text + b"]"
    many = dump_numbers(np.full(100, value, np.float32))
    assert many == b"[" + b",".join([text] * 100) + b"]"


def test_doubles_read_back_as_themselves() -> None:
    values = np.random.default_rng(2).integers(0, 2**64, 5000, dtype=np.uint64).view(np.float64)
    read = np.array(json.loads(dump_numbers(values)))
    np.testing.assert_array_equal(read, values)


def test_placeholders_never_meet_a_number_of_the_tensor() -> None:
    values = np.array([[np.inf, *_PLACEHOLDERS[:1]], [np.nan, *_PLACEHOLDERS[1:2]]])
    first, second = (repr(number) for number in _PLACEHOLDERS[:2])
    assert dump_numbers(values).decode() == f"[[Infinity,{first}],[NaN,{second}]]"


def test_empty_and_strided_tensors() -> None:
    assert dump_numbers(np.zeros((2, 0), np.float32)) == b"[[],[]]"
    columns = np.array([[1, 2], [3, 4]], np.float32).T
    assert json.loads(dump_numbers(columns)) == [[1, 3], [2, 4]]
