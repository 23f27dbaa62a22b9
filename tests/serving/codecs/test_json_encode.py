"""Answers as TensorFlow Serving writes them."""

import ml_dtypes
import numpy as np
import pytest

from lsp_keras.serving.codecs.json_encode import encode_error, encode_predict
from lsp_keras.serving.errors import (
    MAX_REST_MESSAGE_LENGTH,
    TRUNCATED,
    InvalidArgumentError,
    NotFoundError,
)
from lsp_keras.serving.models.signatures import as_strings


def encode(by_rows: bool, **arrays: np.ndarray) -> str:
    return encode_predict(arrays, by_rows=by_rows).decode()


def test_rows_of_several_outputs() -> None:
    text = encode(
        True,
        scores=np.array([[0.1, 1 / 3], [2, np.nan]], np.float32),
        label=np.array([2**63 - 1, -1], np.int64),
        weight=np.array([0.5, np.inf], np.float32),
        flag=np.array([True, False]),
        name=as_strings([b"caf\xc3\xa9", b'"'], (2,)),
    )
    assert text == (
        '{"predictions":['
        '{"scores":[0.1,0.333333343],"label":9223372036854775807,"weight":0.5,"flag":true,'
        '"name":"café"},'
        '{"scores":[2.0,NaN],"label":-1,"weight":Infinity,"flag":false,"name":"\\""}]}'
    )


def test_one_output_goes_without_its_name() -> None:
    column = np.array([[2**64 - 1]], np.uint64)
    assert encode(True, y=column) == '{"predictions":[[18446744073709551615]]}'
    assert encode(False, y=column) == '{"outputs":[[18446744073709551615]]}'
    assert encode(False, y=np.array(0.1)) == '{"outputs":0.1}'


def test_strings_of_any_rank_and_bytes_by_suffix() -> None:
    words = as_strings([b"a", b"b", b"\xff", b"d"], (2, 2))
    assert encode(True, y=words) == '{"predictions":[["a","b"],["\ufffd","d"]]}'
    raw = '{"outputs":[[{"b64":"YQ=="},{"b64":"Yg=="}],[{"b64":"/w=="},{"b64":"ZA=="}]]}'
    assert encode(False, y_bytes=words) == raw
    assert encode(False, y=as_strings([b"a"], ())) == '{"outputs":"a"}'


def test_empty_batches() -> None:
    assert encode(True, y=np.zeros((0, 3), np.float32)) == '{"predictions":[]}'
    assert encode(True, y=np.zeros((0,)), z=np.zeros((0, 2))) == '{"predictions":[]}'


def test_what_cannot_be_cut_into_rows_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="z has inconsistent batch size: 3 expecting: 2"):
        encode(True, y=np.zeros(2), z=np.zeros(3))
    with pytest.raises(InvalidArgumentError, match="Tensor name: y has no shape information"):
        encode(True, y=np.array(1, np.float32))
    assert encode(False, y=np.zeros(1), z=np.zeros(2)) == '{"outputs":{"y":[0.0],"z":[0.0,0.0]}}'


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(np.float16, "half"), (np.complex64, "complex64"), (ml_dtypes.bfloat16, "bfloat16")],
)
def test_types_without_a_json_form(dtype, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"JSON value for tensor type: {name}"):
        encode(False, y=np.zeros(1, dtype))


def test_errors_are_json_whatever_they_quote() -> None:
    assert encode_error(NotFoundError('no "m"')) == b'{"error":"no \\"m\\""}'
    assert encode_error(NotFoundError("\ud800")) == b'{"error":"?"}'


def test_errors_are_cut_however_long_what_they_quote_is() -> None:
    cut = "m" * MAX_REST_MESSAGE_LENGTH + TRUNCATED
    assert encode_error(NotFoundError("m" * 100_000)) == f'{{"error":"{cut}"}}'.encode()
