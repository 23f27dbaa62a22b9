"""What parsing a protobuf message may cost, told from its bytes without parsing it.

A message of two bytes for each value takes up to fifty times its size once it is parsed, and
Python's parser cannot be stopped. This walk goes through the fields, skips what lies in large
pieces (`tensor_content`, packed numbers, strings), and gives up where there are too many.
"""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from lsp_keras.serving.errors import InvalidArgumentError

# More fields than batches of strings have, few enough to be counted in a fifth of a second.
MAX_FIELDS = 1 << 17
# Bytes of memory for each field, measured over all messages of TensorFlow Serving's API, and for
# each byte of a payload: once in the message, once as Python's object, once in TensorFlow.
FIELD_COST = 256
_PAYLOAD_FACTOR = 3
# A number of one byte becomes one of eight, in the message, in NumPy and in TensorFlow.
_VARINT_FACTOR = 24
_UNREADABLE_FACTOR = 64
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_LARGEST_VARINT = 10
_FIXED_TYPES = frozenset(
    {
        FieldDescriptor.TYPE_FLOAT,
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED32,
        FieldDescriptor.TYPE_SFIXED64,
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BYTES,
    }
)


def wire_cost(data: bytes, descriptor: Descriptor) -> int:
    """Upper bound of the bytes of memory that the parsed message and its tensors take.

    Args:
        data: A message, well-formed or not.
        descriptor: Descriptor of the message's type.

    Raises:
        InvalidArgumentError: It has more than `MAX_FIELDS` fields.
    """
    cost, fields = len(data), 0
    pending: list[tuple[int, int, Any]] = [(0, len(data), descriptor)]
    while pending:
        position, end, kind = pending.pop()
        while position < end:
            fields += 1
            if fields > MAX_FIELDS:
                raise InvalidArgumentError(f"The message has more than {MAX_FIELDS} fields.")
            step = _field(data, position, end)
            if step is None:
                # The parser will refuse this; until it does, it may take what it can.
                cost += _UNREADABLE_FACTOR * (end - position)
                break
            number, start, position = step
            field = kind.fields_by_number.get(number)
            cost += FIELD_COST + _payload_cost(field, position - start)
            if field is not None and field.message_type is not None:
                pending.append((start, position, field.message_type))
    return cost


def _payload_cost(field: FieldDescriptor | None, size: int) -> int:
    if field is None or field.message_type is not None:
        return 0
    return size * (_PAYLOAD_FACTOR if field.type in _FIXED_TYPES else _VARINT_FACTOR)


def _field(data: bytes, position: int, end: int) -> tuple[int, int, int] | None:
    """Number of the field at a position, where its payload starts and where it ends."""
    tag, position = _varint(data, position, end)
    wire_type = tag & 7
    start, size = position, 0
    if wire_type == _VARINT:
        _, position = _varint(data, position, end)
    elif wire_type == _FIXED64:
        position += 8
    elif wire_type == _FIXED32:
        position += 4
    elif wire_type == _DELIMITED:
        size, start = _varint(data, position, end)
        position = start + size
    else:
        return None
    return (tag >> 3, start, position) if position <= end else None


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """The number at a position and what follows it; past the end where it does not end."""
    if position < end and data[position] < 128:
        return data[position], position + 1
    number = shift = 0
    for place in range(position, min(end, position + _LARGEST_VARINT)):
        byte = data[place]
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place + 1
        shift += 7
    return 0, end + 1
