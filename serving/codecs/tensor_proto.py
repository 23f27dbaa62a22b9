"""Tensors as gRPC carries them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from lsp_keras.serving.errors import InvalidArgumentError, UnimplementedError
from lsp_keras.serving.models.signatures import MAX_RANK, Array, as_strings, dtype_of, type_name

# No request can hold more.
MAX_TENSOR_BYTES = 2**31 - 1
# A list of values shorter than its tensor repeats the last one, up to this size of the tensor:
# what a message expands to is bounded by its own size, apart from this.
MAX_REPEATED_BYTES = 1 << 20
# Of an empty tensor, what its other dimensions span: a model that sums over the empty one takes
# as much. Batches without rows of images of 1,024 by 1,024 float32 pixels span less.
MAX_EMPTY_BYTES = 16 << 20
# What TensorFlow keeps for each string, beside its bytes.
_STRING_BYTES = 32
_INT_FIELD = dict.fromkeys(["int8", "int16", "int32", "uint8", "uint16"], "int_val")
_FIELDS = {
    **_INT_FIELD,
    "float32": "float_val",
    "float64": "double_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "string": "string_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
}
# Types whose bytes in memory are those of a packed field, and what each is viewed as.
_PACKED = {
    "float32": np.float32,
    "float64": np.float64,
    "bool": np.uint8,
    "complex64": np.float32,
    "complex128": np.float64,
}


@dataclass(frozen=True)
class TensorForm:
    """What a `TensorProto` says of its tensor, before any value of it is read.

    Attributes:
        dtype: Type of the elements, one of TensorFlow's.
        shape: Sizes.
        num_bytes: Memory that the tensor takes.
    """

    dtype: tf.DType
    shape: tuple[int, ...]
    num_bytes: int


def decode_tensor(
    proto: Any,
    name: str,
    check: Callable[[TensorForm], None] = lambda form: None,
    *,
    max_repeated_bytes: int = MAX_REPEATED_BYTES,
    max_empty_bytes: int = MAX_EMPTY_BYTES,
) -> Array:
    """The tensor in a `TensorProto`, whether in `tensor_content` or in a typed field.

    A list of values shorter than the shape repeats its last value.

    Args:
        proto: Message from a request.
        name: Name of the input, for messages.
        check: Function that is told what the tensor will be before any memory is taken for it.
        max_repeated_bytes: Size up to which the last value is repeated.
        max_empty_bytes: What an empty tensor may span in its other dimensions.

    Raises:
        InvalidArgumentError: Type, shape and values do not fit each other.
    """
    try:
        dtype = tf.as_dtype(proto.dtype)
        values = list_field(proto, dtype)
        shape = _shape(proto, dtype, max_empty_bytes)
    except (TypeError, ValueError, KeyError):
        raise _parsing_error(name) from None
    # Each access copies the bytes.
    content = proto.tensor_content
    count = math.prod(shape)
    if content:
        num_bytes = _content_bytes(content, dtype, count, name)
    else:
        num_bytes = _values_bytes(values, dtype, count, max_repeated_bytes, name)
    check(TensorForm(dtype, shape, num_bytes))
    try:
        if content:
            return np.frombuffer(content, dtype.as_numpy_dtype).reshape(shape)
        return _from_values(values, dtype, shape)
    except (TypeError, ValueError, OverflowError):
        raise _parsing_error(name) from None


def _content_bytes(content: bytes, dtype: tf.DType, count: int, name: str) -> int:
    if dtype == tf.string or len(content) != count * dtype.size:
        raise _parsing_error(name)
    return len(content)


def _values_bytes(
    values: Any, dtype: tf.DType, count: int, max_repeated_bytes: int, name: str
) -> int:
    given = len(values) // (2 if dtype.is_complex else 1)
    item_bytes = dtype.size
    if dtype == tf.string:
        item_bytes = _STRING_BYTES + (len(values[-1]) if given else 0)
    repeated_bytes = item_bytes * max(0, count - given)
    if repeated_bytes > max_repeated_bytes:
        raise InvalidArgumentError(
            f"tensor parsing error: {name}: {given} values for {count} places; the last one may "
            f"be repeated up to {max_repeated_bytes} bytes."
        )
    return repeated_bytes + item_bytes * min(count, given)


def list_field(proto: Any, dtype: tf.DType) -> Any:
    """The typed field that holds values of that type."""
    return getattr(proto, _FIELDS[dtype.name])


def _parsing_error(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"tensor parsing error: {name}")


def _shape(proto: Any, dtype: tf.DType, max_empty_bytes: int) -> tuple[int, ...]:
    if proto.tensor_shape.unknown_rank or len(proto.tensor_shape.dim) > MAX_RANK:
        raise ValueError
    shape = tuple(dimension.size for dimension in proto.tensor_shape.dim)
    item_bytes = _STRING_BYTES if dtype == tf.string else dtype.size
    span = math.prod(max(size, 1) for size in shape) * item_bytes
    if min(shape, default=0) < 0 or span > (MAX_TENSOR_BYTES if all(shape) else max_empty_bytes):
        raise ValueError
    return shape


def _from_values(values: Any, dtype: tf.DType, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    if dtype == tf.string:
        strings = list(values[:count]) or [b""]
        return as_strings(strings + strings[-1:] * (count - len(strings)), (-1,))[:count].reshape(
            shape
        )
    flat = _numbers(values, dtype)[:count]
    if len(flat) < count:
        last = flat[-1:] if len(flat) else np.zeros(1, flat.dtype)
        flat = np.concatenate([flat, np.repeat(last, count - len(flat))])
    return flat.reshape(shape)


def _numbers(values: Any, dtype: tf.DType) -> Array:
    target = dtype.as_numpy_dtype
    if _FIELDS[dtype.name] == "half_val":
        return np.array(values, np.int32).astype(np.uint16).view(target)
    if dtype.is_complex:
        return np.array(values, _PACKED[dtype.name]).view(target)
    array = np.array(values)
    if array.size == 0:
        return np.zeros(0, target)
    if dtype.is_integer and not dtype.min <= array.min() <= array.max() <= dtype.max:
        raise ValueError
    return array.astype(target, copy=False)


def encode_tensor(array: Array) -> Any:
    """`TensorProto` with the values in the field of their type, as TensorFlow Serving answers.

    Raises:
        UnimplementedError: No field holds values of its type.
    """
    dtype = dtype_of(array)
    if dtype.name not in _FIELDS:
        raise UnimplementedError(f"Failed to write a message for tensor type: {type_name(dtype)}")
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    field = list_field(proto, dtype)
    flat = np.ascontiguousarray(array).reshape(-1)
    if dtype.name in _PACKED:
        _merge_packed(proto, _FIELDS[dtype.name], flat.view(_PACKED[dtype.name]))
    elif _FIELDS[dtype.name] == "half_val":
        field.extend(flat.view(np.uint16).tolist())
    else:
        field.extend(flat.tolist())
    return proto


def _merge_packed(proto: Any, field: str, values: Array) -> None:
    """Appends numbers through their encoding, two hundred times faster than one by one."""
    number = proto.DESCRIPTOR.fields_by_name[field].number
    length_delimited = 2
    data = values.tobytes()
    proto.MergeFromString(_varint(number << 3 | length_delimited) + _varint(len(data)) + data)


def _varint(number: int) -> bytes:
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])
