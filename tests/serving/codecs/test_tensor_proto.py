"""gRPC tensors, against TensorFlow's own conversion."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2

from lsp_keras.serving.codecs.tensor_proto import (
    MAX_EMPTY_BYTES,
    MAX_REPEATED_BYTES,
    MAX_TENSOR_BYTES,
    TensorForm,
    decode_tensor,
    encode_tensor,
)
from lsp_keras.serving.errors import InvalidArgumentError, UnimplementedError
from lsp_keras.serving.models.signatures import as_strings

ARRAYS = [
    np.array([[1.5, np.nan], [-np.inf, 1e-45]], np.float32),
    np.array([1e308, -0.0]),
    np.array([0.1, 65504, np.inf], np.float16),
    np.array([0.1, 3e38], ml_dtypes.bfloat16),
    np.array([-(2**63), 2**63 - 1]),
    np.array([-(2**31), 7], np.int32),
    np.array([-(2**15)], np.int16),
    np.array([-128, 127], np.int8),
    np.array([0, 255], np.uint8),
    np.array([65535], np.uint16),
    np.array([2**32 - 1], np.uint32),
    np.array([2**64 - 1], np.uint64),
    np.array([True, False, True]),
    np.array([1 + 2j], np.complex64),
    np.array([1e300 - 2j]),
    as_strings([b"a\0", b"", b"\xff"], (3, 1)),
    np.float32(3.5).reshape(()),
    np.zeros((0, 3), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_every_type_goes_out_as_tensorflow_reads_it_and_comes_back(array) -> None:
    proto = encode_tensor(array)
    assert proto.tensor_content == b""
    read = tf.make_ndarray(proto)
    np.testing.assert_array_equal(read.reshape(array.shape), array)
    decoded = decode_tensor(proto, "x")
    assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_what_tensorflow_writes_is_read(array) -> None:
    proto = tf.make_tensor_proto(array)
    decoded = decode_tensor(proto, "x")
    assert decoded.shape == array.shape
    np.testing.assert_array_equal(decoded, array)


def test_the_form_is_told_before_memory_is_taken() -> None:
    forms = []

    def refuse(form) -> None:
        forms.append(form)
        raise InvalidArgumentError("another shape is expected")

    with pytest.raises(InvalidArgumentError, match="another shape"):
        decode_tensor(proto(tf.float64, 300, 400, double_val=[0.5] * 119_990), "x", refuse)
    assert forms == [TensorForm(tf.float64, (300, 400), 960_000)]


def test_one_value_fills_up_to_the_limit() -> None:
    count = MAX_REPEATED_BYTES // 4 + 1
    decoded = decode_tensor(proto(tf.float32, count, float_val=[2.5]), "x")
    assert decoded.shape == (count,)
    assert set(decoded.tolist()) == {2.5}


sizes = st.integers(0, 9) | st.integers(0, 2**62) | st.sampled_from([2**16, 2**18, 2**20, 2**28])
claims = st.builds(
    lambda dtype, shape, floats, integers, strings, content: tensor_pb2.TensorProto(
        dtype=dtype,
        tensor_shape={"dim": [{"size": size} for size in shape]},
        float_val=floats,
        double_val=floats,
        int_val=[integer % 2**31 for integer in integers],
        int64_val=integers,
        half_val=[integer % 2**16 for integer in integers],
        bool_val=[integer % 2 == 0 for integer in integers],
        string_val=strings,
        scomplex_val=floats,
        tensor_content=content,
    ),
    st.integers(0, 30),
    st.lists(sizes, max_size=5),
    st.lists(st.floats(width=32), max_size=20),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=10),
    st.lists(st.binary(max_size=100), max_size=5),
    st.just(b"") | st.binary(max_size=100),
)
raw_claims = st.binary(max_size=1024)


@settings(max_examples=300)
@given(claims | raw_claims)
def test_no_message_of_a_kilobyte_costs_more_than_16_megabytes(claim) -> None:
    tracemalloc.start()
    try:
        message = tensor_pb2.TensorProto.FromString(claim) if isinstance(claim, bytes) else claim
        decode_tensor(message, "x")
    except (InvalidArgumentError, DecodeError):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


def proto(dtype: tf.DType, *shape: int, **fields: object) -> tensor_pb2.TensorProto:
    message = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def test_short_lists_repeat_their_last_value_and_empty_ones_are_zero() -> None:
    assert decode_tensor(proto(tf.int32, 4, int_val=[1, 2]), "x").tolist() == [1, 2, 2, 2]
    assert decode_tensor(proto(tf.float32, 2), "x").tolist() == [0.0, 0.0]
    strings = decode_tensor(proto(tf.string, 3, string_val=[b"a"]), "x")
    assert strings.tolist() == [b"a", b"a", b"a"]
    assert decode_tensor(proto(tf.string, 2), "x").tolist() == [b"", b""]


@pytest.mark.parametrize("shape", [(0, 1024, 1024, 3), (MAX_EMPTY_BYTES // 4, 0), (0,), (0, 0)])
def test_batches_without_rows_may_span_images(shape) -> None:
    assert decode_tensor(proto(tf.float32, *shape), "x").shape == shape


def test_an_empty_tensor_may_span_as_much_as_is_said() -> None:
    own = proto(tf.float32, 0, 2**28)
    assert decode_tensor(own, "x", max_empty_bytes=MAX_TENSOR_BYTES).shape == (0, 2**28)


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.int4])
def test_a_type_without_a_field_is_unimplemented(dtype) -> None:
    with pytest.raises(UnimplementedError, match=f"tensor type: {np.dtype(dtype).name}"):
        encode_tensor(np.zeros(2, dtype))


@pytest.mark.parametrize(
    "message",
    [
        proto(tf.float32, -1),
        proto(tf.float32, 2**31, 2**31, float_val=[1.0]),
        proto(tf.float32, 100_000_000, float_val=[1.0]),
        proto(tf.float32, MAX_REPEATED_BYTES // 4 + 2, float_val=[1.0]),
        proto(tf.string, 30_000_000),
        proto(tf.string, 20_000, string_val=[b"x" * 100]),
        proto(tf.float32, 0, 2**40),
        proto(tf.float32, 0, 500_000_000),
        proto(tf.uint8, MAX_EMPTY_BYTES + 1, 0),
        proto(tf.string, 2**10, 0, 2**10),
        proto(tf.float32, *[1] * 65, float_val=[1.0]),
        proto(tf.uint8, 1, int_val=[300]),
        proto(tf.int8, 1, int_val=[-129]),
        proto(tf.float32, 2, tensor_content=b"123"),
        proto(tf.string, 1, tensor_content=b"\x01a"),
        proto(tf.resource, 1),
        tensor_pb2.TensorProto(dtype=999),
        tensor_pb2.TensorProto(dtype=1, tensor_shape={"unknown_rank": True}),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(message) -> None:
    with pytest.raises(InvalidArgumentError, match="tensor parsing error: x"):
        decode_tensor(message, "x")
