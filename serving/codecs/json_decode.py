"""Predict requests in JSON: from a body to tensors.

Types are strict, and no loop runs in Python over numbers: nested lists are flattened level by
level, and a level is checked through the set of its types and lengths.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from lsp_keras.serving.codecs.json_document import encode_text, value_text, value_type
from lsp_keras.serving.errors import InvalidArgumentError, ServingError, UnimplementedError
from lsp_keras.serving.models.signatures import (
    MAX_RANK,
    Array,
    Signature,
    Tensors,
    TensorSpec,
    as_strings,
)

_FLOATS = {"float32", "float64"}
_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"}
# Ten thousand rows of a small body would take a tenth of a second of the event loop.
_EXPLAINED_ROWS = 1_000
_SPACE = b" \t\r\n\v\f"


@dataclass(frozen=True)
class JsonRequest:
    """A predict request.

    Attributes:
        signature: The one asked for.
        inputs: Inputs by name.
        by_rows: Whether inputs were sent under `instances`, so that the answer has one value for
            each instance.
    """

    signature: Signature
    inputs: Tensors
    by_rows: bool


def decode_predict(
    document: Mapping[str, Any], find_signature: Callable[[str], Signature]
) -> JsonRequest:
    """Tensors of a predict request.

    Args:
        document: Document of the request, `{"signature_name": ..., "instances": [...]}` or
            `{..., "inputs": ...}`.
        find_signature: Signature by name; called with an empty name where none is given.

    Raises:
        ServingError: In the words of TensorFlow Serving.
    """
    signature = find_signature(signature_name(document))
    if not signature.inputs:
        raise InvalidArgumentError(f"Failed to get input map for signature: {signature.name}")
    by_rows = "instances" in document
    if by_rows and "inputs" in document:
        raise InvalidArgumentError(
            f"JSON Value: {value_text(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    # Under `instances` each row brings a value for every input; `inputs` brings whole tensors.
    if by_rows:
        rows = document["instances"]
        _check_rows(document, rows)
        return JsonRequest(signature, _from_rows(rows, signature.inputs), by_rows)
    if "inputs" not in document:
        raise InvalidArgumentError("Missing 'inputs' or 'instances' key")
    return JsonRequest(signature, _from_columns(document["inputs"], signature.inputs), by_rows)


def signature_name(document: Mapping[str, Any]) -> str:
    """The optional `signature_name`, or an empty string."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidArgumentError(
            f"JSON Value: {value_text(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    # It goes into messages of Protocol Buffers, which hold UTF-8 alone.
    encode_text(name)
    return name


def _check_rows(document: Mapping[str, Any], rows: Any) -> None:
    if not isinstance(rows, list):
        raise InvalidArgumentError(
            f"JSON Value: {value_text(document)} Expecting 'instances' to be an list/array"
        )
    if not rows:
        raise InvalidArgumentError(
            f"JSON Value: {value_text(document)} No values in 'instances' array"
        )


def _from_rows(rows: list[Any], specs: Mapping[str, TensorSpec]) -> Tensors:
    if not _is_object(rows[0]) and len(specs) > 1:
        raise InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    try:
        if not _is_object(rows[0]):
            ((name, spec),) = specs.items()
            return {name: to_tensor(rows, spec)}
        for number, row in enumerate(rows):
            if not _is_object(row):
                raise _mixed(by_name=True, number=number)
        # One tensor for each input, made of all rows at once.
        if any(row.keys() != specs.keys() for row in rows):
            raise InvalidArgumentError(
                f"Keys of 'instances' must be equal to: {','.join(sorted(specs))}"
            )
        return {name: to_tensor([row[name] for row in rows], specs[name]) for name in specs}
    except ServingError:
        # Row by row only now: it finds the words for the first row that is at fault.
        _explain_rows(rows, specs)
        raise


def _mixed(by_name: bool, number: int) -> InvalidArgumentError:
    """What is wrong with a row that is an object where the first is none, or the reverse."""
    expected, received = ("object", "list") if by_name else ("value/list", "object")
    return InvalidArgumentError(
        f"Expecting {expected} but got {received} at item {number} of input list"
    )


def _explain_rows(rows: list[Any], specs: Mapping[str, TensorSpec]) -> None:
    """Raises the error that TensorFlow Serving, which goes row by row, finds first.

    Looks at the first rows only, for no client's mistake may cost minutes.
    """
    by_name = _is_object(rows[0])
    # The first row decides on objects or values, and on each input's shape.
    shapes: dict[str, tuple[int, ...]] = {}
    for number, row in enumerate(rows[:_EXPLAINED_ROWS]):
        if by_name != _is_object(row):
            raise _mixed(by_name, number)
        place = f"Failed to process element: {number}"
        for name, value in row.items() if by_name else [(next(iter(specs)), row)]:
            try:
                _check_item(name, value, specs, shapes)
            except ServingError as error:
                key = f" key: {name}" if by_name else ""
                raise InvalidArgumentError(
                    f"{place}{key} of 'instances' list. Error: {error}"
                ) from None
        if by_name and row.keys() != specs.keys():
            raise InvalidArgumentError(
                f"{place} of 'instances' list. JSON object: {value_text(row)} "
                f"keys must be equal to: {','.join(sorted(specs))}"
            )


def _check_item(
    name: str, value: Any, specs: Mapping[str, TensorSpec], shapes: dict[str, tuple[int, ...]]
) -> None:
    if name not in specs:
        raise InvalidArgumentError(f"JSON object: does not have named input: {name}")
    array = to_tensor(value, specs[name])
    expected = shapes.setdefault(name, array.shape)
    size = int(np.prod(expected))
    if array.size != size:
        raise InvalidArgumentError(f"Expecting tensor size: {size} but got: {array.size}")
    if array.shape != expected:
        raise InvalidArgumentError(
            f"Expecting shape {_shape_text(expected)} but got: {_shape_text(array.shape)}"
        )


def _from_columns(value: Any, specs: Mapping[str, TensorSpec]) -> Tensors:
    if not _is_object(value):
        if len(specs) > 1:
            raise InvalidArgumentError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        ((name, spec),) = specs.items()
        return {name: to_tensor(value, spec)}
    for name in specs:
        if name not in value:
            raise InvalidArgumentError(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_tensor(value[name], spec) for name, spec in specs.items()}


def to_tensor(value: Any, spec: TensorSpec) -> Array:
    """Tensor of a JSON value: a scalar, or lists nested as deep as the tensor has dimensions.

    Raises:
        InvalidArgumentError: Lists of different lengths or nested too deeply, or a value of
            another type.
        UnimplementedError: JSON has no form for tensors of this type.
    """
    shape: list[int] = []
    # All lists of one depth, joined: `level` holds prod(shape) values after each round.
    level = [value]
    while level and isinstance(level[0], list):
        if len(shape) == MAX_RANK:
            raise InvalidArgumentError(
                f"JSON Value: lists are nested deeper than {MAX_RANK} levels."
            )
        # A level is all lists or no list; a mixture is at fault here.
        _check_lists(level, len(shape))
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
    return _leaves(level, spec, len(shape)).reshape(shape)


def _check_lists(level: list[Any], depth: int) -> None:
    # Two sets, made in C, decide for millions of values.
    if set(map(type, level)) != {list}:
        leaf = next(item for item in level if not isinstance(item, list))
        raise InvalidArgumentError(
            f"JSON Value: {value_text(leaf)} found at incorrect level: {depth + 1} "
            f"in the JSON DOM. Expected at level: {depth + 1 + _depth(level[0]) - 1}"
        )
    if len(set(map(len, level))) > 1:
        size = next(len(item) for item in level if len(item) != len(level[0]))
        raise InvalidArgumentError(
            f"Encountered list at unexpected size: {size} at level: {depth} "
            f"expected size: {len(level[0])}"
        )


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _leaves(values: list[Any], spec: TensorSpec, rank: int) -> Array:
    # `type`, not `isinstance`: True is an int for Python, and no number in JSON.
    types = set(map(type, values))
    if list in types:
        raise InvalidArgumentError(
            f"Encountered list at unexpected level: {rank} expected < {rank}"
        )
    name = spec.dtype.name
    if name in _FLOATS:
        _check_types(values, types, {int, float}, spec)
        # Through float64 as JSON's numbers are; what is too large for float32 becomes infinite.
        with np.errstate(over="ignore"):
            return np.array(values, np.float64).astype(spec.numpy_dtype, copy=False)
    if name in _INTEGERS:
        _check_types(values, types, {int}, spec)
        return _integers(values, spec)
    if name == "bool":
        _check_types(values, types, {bool}, spec)
        return np.array(values, np.bool_)
    if name == "string":
        _check_types(values, types, {str, dict}, spec)
        return as_strings([_string(value) for value in values], (len(values),))
    example = value_text(values[0]) if values else "[]"
    raise UnimplementedError(f"Conversion of JSON Value: {example} to type: {spec.type_name}")


def _check_types(values: list[Any], types: set[type], allowed: set[type], spec: TensorSpec) -> None:
    if not types <= allowed:
        raise _type_error(next(value for value in values if type(value) not in allowed), spec)


def _type_error(value: Any, spec: TensorSpec) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"JSON Value: {value_text(value)} Type: {value_type(value)} "
        f"is not of expected type: {spec.type_name}"
    )


def _integers(values: list[int], spec: TensorSpec) -> Array:
    # Python's integers are compared first: NumPy would wrap or raise, depending on its version.
    limits = np.iinfo(spec.numpy_dtype)
    if values and not (limits.min <= min(values) and max(values) <= limits.max):
        outside = next(value for value in values if not limits.min <= value <= limits.max)
        raise _type_error(outside, spec)
    return np.array(values, spec.numpy_dtype)


def _string(value: str | dict[str, Any]) -> bytes:
    if isinstance(value, str):
        return encode_text(value)
    if not is_base64(value):
        raise InvalidArgumentError(
            f"JSON Value: {value_text(value)} not formatted correctly for base64 data"
        )
    return decode_base64(value["b64"])


def decode_base64(text: str) -> bytes:
    """Bytes of standard base64; padding is optional, white space is skipped.

    Raises:
        InvalidArgumentError: Another alphabet, a wrong length or wrong padding.
    """
    try:
        # Standard alphabet only; white space may stand anywhere between digits.
        digits = text.encode("ascii").translate(None, _SPACE)
        stripped = digits.rstrip(b"=")
        padding = b"=" * (-len(stripped) % 4)
        # Four digits are three bytes, so one digit alone is none, and padding is whole or absent.
        if len(padding) == 3 or (stripped != digits and stripped + padding != digits):
            raise ValueError
        return base64.b64decode(stripped + padding, validate=True)
    except (ValueError, binascii.Error):
        raise InvalidArgumentError("Unable to base64 decode") from None


def is_base64(value: Any) -> bool:
    """Whether a JSON value is an object with `b64` alone."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _shape_text(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
