"""Strict types, shapes and alphabets of JSON tensors."""

import base64
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from lsp_keras.serving.codecs.json_decode import decode_base64, decode_predict, to_tensor
from lsp_keras.serving.codecs.json_document import parse_document
from lsp_keras.serving.errors import InvalidArgumentError, UnimplementedError
from lsp_keras.serving.models.signatures import MAX_RANK, Signature, TensorSpec


def spec(dtype: tf.DType) -> TensorSpec:
    return TensorSpec("x:0", dtype, None)


def decode(body: str, **dtypes: tf.DType):
    inputs = {name: spec(dtype) for name, dtype in dtypes.items()}
    signature = Signature("s", "", inputs, {})
    return decode_predict(parse_document(body.encode()), lambda _: signature).inputs


@pytest.mark.parametrize(
    ("dtype", "limits"),
    [
        (tf.int8, (-(2**7), 2**7 - 1)),
        (tf.uint8, (0, 2**8 - 1)),
        (tf.int16, (-(2**15), 2**15 - 1)),
        (tf.int32, (-(2**31), 2**31 - 1)),
        (tf.uint32, (0, 2**32 - 1)),
        (tf.int64, (-(2**63), 2**63 - 1)),
        (tf.uint64, (0, 2**64 - 1)),
    ],
)
def test_integers_keep_their_range_and_nothing_wraps(dtype, limits) -> None:
    assert to_tensor(list(limits), spec(dtype)).tolist() == list(limits)
    for outside in (limits[0] - 1, limits[1] + 1):
        with pytest.raises(InvalidArgumentError, match=f"{outside} Type: Number is not of exp"):
            to_tensor([0, outside], spec(dtype))


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (True, tf.int32, "JSON Value: true Type: True is not of expected type: int32"),
        (1.0, tf.int64, "JSON Value: 1.0 Type: Number is not of expected type: int64"),
        ("1", tf.float32, 'JSON Value: "1" Type: String is not of expected type: float'),
        (False, tf.float64, "JSON Value: false Type: False is not of expected type: double"),
        (1, tf.bool, "JSON Value: 1 Type: Number is not of expected type: bool"),
        (1, tf.string, "JSON Value: 1 Type: Number is not of expected type: string"),
        ({"b64": "AA"}, tf.float32, "Type: Object is not of expected type: float"),
        ({"b64": 1}, tf.string, "not formatted correctly for base64 data"),
        ({"b64": "AA", "more": 1}, tf.string, "not formatted correctly for base64 data"),
    ],
)
def test_types_are_strict(value, dtype, message) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        to_tensor([value], spec(dtype))
    assert message in raised.value.message


def test_types_without_a_json_form_are_unimplemented() -> None:
    with pytest.raises(UnimplementedError, match="Conversion of JSON Value: 1 to type: half"):
        to_tensor([1], spec(tf.float16))


def test_numbers_too_large_for_float32_become_infinite() -> None:
    values = to_tensor([1e39, -1e39, 3e38, 2**64], spec(tf.float32))
    np.testing.assert_array_equal(values, np.array([np.inf, -np.inf, 3e38, 2.0**64], np.float32))


@pytest.mark.parametrize(
    ("value", "shape"),
    [(1, ()), ([], (0,)), ([[], []], (2, 0)), ([[[1], [2]]], (1, 2, 1))],
)
def test_shapes(value, shape) -> None:
    assert to_tensor(value, spec(tf.float32)).shape == shape


def nested_list(depth: int) -> object:
    return [nested_list(depth - 1)] if depth else 1


def test_lists_are_nested_as_deep_as_numpy_has_dimensions() -> None:
    deepest = np.ones((1,) * MAX_RANK, np.float32)
    np.testing.assert_array_equal(to_tensor(nested_list(MAX_RANK), spec(tf.float32)), deepest)
    with pytest.raises(ValueError, match="dimension"):
        np.ones((1,) * (MAX_RANK + 1))
    with pytest.raises(InvalidArgumentError, match=f"nested deeper than {MAX_RANK} levels"):
        to_tensor(nested_list(MAX_RANK + 1), spec(tf.float32))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ([1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ([[1], 2], "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at le"),
    ],
)
def test_ragged_lists(value, message) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        to_tensor(value, spec(tf.float32))
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"instances": [1, 2]}', "instances is a plain list, but expecting list of objects"),
        ('{"instances": [{"b64": "AA"}]}', "instances is a plain list, but expecting list of obj"),
        ('{"inputs": [1, 2]}', "inputs is a plain value/list, but expecting an object"),
        ('{"inputs": {"b64": "AA"}}', "inputs is a plain value/list, but expecting an object"),
        (
            '{"instances": [{"a": 1, "b": 2}, 3]}',
            "Expecting object but got list at item 1 of input list",
        ),
        (
            '{"instances": [{"a": 1, "b": 2}, {"a": 1}]}',
            "Failed to process element: 1 of 'instances' list. JSON object: {\"a\": 1} "
            "keys must be equal to: a,b",
        ),
        (
            '{"instances": [{"a": 1, "b": 2}, {"a": 1, "b": [2]}]}',
            "Failed to process element: 1 key: b of 'instances' list. Error: "
            "INVALID_ARGUMENT: Expecting shape [] but got: [1]",
        ),
        (
            '{"instances": [{"a": 1, "b": true}]}',
            "Failed to process element: 0 key: b of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: true Type: True is not of expected type: float",
        ),
    ],
)
def test_rows_that_do_not_fit_two_inputs(body, message) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        decode(body, a=tf.float32, b=tf.float32)
    assert message in raised.value.message


@pytest.mark.parametrize("count", [1, 999, 1_000, 1_001, 10_000])
def test_a_value_among_objects_is_refused_wherever_it_stands(count: int) -> None:
    rows = json.dumps({"instances": [{"a": 1, "b": 2}] * count + [3]})
    message = f"Expecting object but got list at item {count} of input list"
    with pytest.raises(InvalidArgumentError, match=message):
        decode(rows, a=tf.int32, b=tf.int32)


def test_wrong_keys_are_refused_wherever_they_stand() -> None:
    rows = [{"a": 1, "b": 2}] * 10_000 + [{"a": 1, "c": 2}]
    with pytest.raises(InvalidArgumentError, match="Keys of 'instances' must be equal to: a,b"):
        decode(json.dumps({"instances": rows}), a=tf.int32, b=tf.int32)


def test_an_object_among_plain_rows_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="Expecting value/list but got object at item 1"):
        decode('{"instances": [1, {"a": 1}]}', a=tf.float32)


def test_trailing_zero_bytes_survive() -> None:
    text = decode('{"inputs": ["a\\u0000", {"b64": "YgA="}]}', a=tf.string)["a"]
    assert text.tolist() == [b"a\0", b"b\0"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xff{}", "Invalid encoding in string. at offset: 0"),
        (b'{"a": "\\x"}', "Invalid escape character in string. at offset: 7"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        ('{"ü": [1 2]}'.encode(), "closing bracket after an element. at offset: 10"),
        (b'{"a": "x', "Missing a closing quotation mark in string."),
        (b'{"a": 1' + b"0" * 400 + b"}", "Number too big to be stored in double."),
        (b'{"inputs": "\\ud800"}', "The surrogate pair in string is invalid."),
        (b'{"inputs": ["a", "\\udc00\\ud800"]}', "The surrogate pair in string is invalid."),
        (b'{"inputs": "a", "signature_name": "\\ud800"}', "The surrogate pair in string is in"),
    ],
)
def test_parse_errors_say_what_and_where(body: bytes, message: str) -> None:
    signature = Signature("s", "", {"a": spec(tf.string)}, {})
    with pytest.raises(InvalidArgumentError) as raised:
        decode_predict(parse_document(body), lambda _: signature)
    assert raised.value.message.startswith("JSON Parse error: ")
    assert message in raised.value.message


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode('\ufeff{"inputs": 1}', a=tf.float32)["a"] == 1


@given(st.binary())
def test_base64_with_and_without_padding(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == decode_base64(text.rstrip("=")) == data


@pytest.mark.parametrize("text", ["A", "AA=", "AAA==", "A-_A", "AA*A", "ÄAAA", "====", "A=AA"])
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Unable to base64 decode"):
        decode_base64(text)


nested = st.integers(0, 3).flatmap(
    lambda rank: st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
)


@given(nested, st.randoms(use_true_random=False))
def test_any_nested_list_gives_what_numpy_gives(shape, random) -> None:
    size = int(np.prod(shape))
    array = np.array([random.uniform(-1e6, 1e6) for _ in range(size)]).reshape(shape)
    decoded = decode(json.dumps({"inputs": array.tolist()}), a=tf.float64)["a"]
    np.testing.assert_array_equal(decoded, array)
