"""What a message may cost, against what parsing it costs."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2

from lsp_keras.serving.codecs.wire import FIELD_COST, MAX_FIELDS, wire_cost
from lsp_keras.serving.errors import InvalidArgumentError

PREDICT = predict_pb2.PredictRequest.DESCRIPTOR
TENSOR = tensor_pb2.TensorProto.DESCRIPTOR
# Resident memory before and after parsing; a process of its own, for memory is not given back.
MEASURE = """
import sys
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2
data = sys.stdin.buffer.read()
resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096
before = resident()
message = {tensor.__name__: tensor for tensor in (
    tensor_pb2.TensorProto, predict_pb2.PredictRequest, classification_pb2.ClassificationRequest
)}[sys.argv[1]].FromString(data)
print(resident() - before)
"""


def varint(number: int) -> bytes:
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def nested(data: bytes, *fields: int) -> bytes:
    """The data as the payload of the last field, that one in the one before, and so on."""
    for field in reversed(fields):
        data = varint(field << 3 | 2) + varint(len(data)) + data
    return data


def test_a_tensor_in_one_piece_costs_a_few_times_its_size() -> None:
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((256, 32, 32, 3), np.float32)))
    size = request.ByteSize()
    assert size < wire_cost(request.SerializeToString(), PREDICT) < 4.1 * size


def test_each_field_and_each_small_number_counts() -> None:
    strings = tensor_pb2.TensorProto(string_val=[b"abc"] * 10)
    data = strings.SerializeToString()
    assert wire_cost(data, TENSOR) == len(data) + 10 * (FIELD_COST + 3 * 3)
    numbers = tensor_pb2.TensorProto(int64_val=[1] * 100)
    data = numbers.SerializeToString()
    assert wire_cost(data, TENSOR) == len(data) + FIELD_COST + 24 * 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("TensorProto", nested(b"\x12\x00" * 100_000, 2)),
        ("TensorProto", b"\x42\x00" * 100_000),
        ("TensorProto", nested(b"\x01" * 4_000_000, 10)),
        ("TensorProto", nested(b"\x01" * 4_000_000, 7)),
        ("TensorProto", b"\x72\x00" * 100_000),
        ("TensorProto", b"\x7a\x00" * 100_000),
        ("PredictRequest", b"".join(nested(b"\x0a\x04%04x" % i, 2) for i in range(40_000))),
        ("PredictRequest", b"\x1a\x00" * 100_000),
        ("ClassificationRequest", nested(b"\x0a\x00" * 100_000, 2, 1)),
        ("ClassificationRequest", nested(nested(b"\x0a\x00" * 20_000, 1, 1) * 6, 2, 1)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[:6].hex()}",
)
def test_parsing_takes_no_more_than_was_told(message: str, data: bytes) -> None:
    kinds = {
        "TensorProto": TENSOR,
        "PredictRequest": PREDICT,
        "ClassificationRequest": classification_pb2.ClassificationRequest.DESCRIPTOR,
    }
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, message], input=data, capture_output=True, check=True
    )
    assert int(run.stdout) <= wire_cost(data, kinds[message])


def test_too_many_fields_are_refused_before_they_are_parsed() -> None:
    data = b"\x1a\x00" * (MAX_FIELDS + 1)
    with pytest.raises(InvalidArgumentError, match=f"more than {MAX_FIELDS} fields"):
        wire_cost(data, PREDICT)


@given(st.binary(max_size=1000))
def test_any_bytes_have_a_cost(data: bytes) -> None:
    assert len(data) <= wire_cost(data, PREDICT) <= len(data) * (65 + FIELD_COST)


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(0, 100), st.binary(max_size=9))
def test_the_walk_takes_no_memory_of_its_own(parts, cut: int, tail: bytes) -> None:
    data = b"".join(nested(part, 2, 2, 2) for part in parts)[: cut * 10] + tail
    tracemalloc.start()
    wire_cost(data, PREDICT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
