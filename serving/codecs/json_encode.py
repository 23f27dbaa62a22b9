"""Answers in JSON: from tensors to a body."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from lsp_keras.serving.codecs.decimals import dump_numbers
from lsp_keras.serving.errors import (
    MAX_REST_MESSAGE_LENGTH,
    InvalidArgumentError,
    ServingError,
    truncate,
)
from lsp_keras.serving.models.signatures import Array, Tensors, type_name_of

# As `type_name_of` writes them.
_WRITABLE = {"float", "double", "bool", "string"}
_WRITABLE |= {"int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"}
_BYTES_SUFFIX = "_bytes"


def encode_predict(outputs: Tensors, *, by_rows: bool) -> bytes:
    """Body of an answer.

    Args:
        outputs: Outputs by name.
        by_rows: Whether the answer has one value for each row under `predictions`, else one for
            each output under `outputs`. A single output goes without its name.

    Raises:
        InvalidArgumentError: JSON has no form for an output, or the outputs cannot be cut
            into rows.
    """
    for array in outputs.values():
        _check_writable(array)
    if not by_rows:
        columns = {name: _fragment(name, array) for name, array in outputs.items()}
        return orjson.dumps({"outputs": _unnamed(columns)})
    _check_batch(outputs)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return orjson.dumps({"predictions": _fragment(name, array)})
    columns_of_rows = [_rows(name, array) for name, array in outputs.items()]
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*columns_of_rows, strict=True)]
    return orjson.dumps({"predictions": rows})


def encode_error(error: ServingError) -> bytes:
    """Body of an error."""
    return orjson.dumps({"error": truncate(error.message, MAX_REST_MESSAGE_LENGTH)})


def _unnamed(columns: Mapping[str, Any]) -> Any:
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _check_writable(array: Array) -> None:
    # Of the array itself: what a damaged model says in its signature may be something else.
    name = type_name_of(array)
    if name not in _WRITABLE:
        raise InvalidArgumentError(f"Failed to write JSON value for tensor type: {name}")


def _check_batch(outputs: Tensors) -> None:
    expected = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise InvalidArgumentError(f"Tensor name: {name} has no shape information ")
        if expected not in (-1, len(array)):
            raise InvalidArgumentError(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                f"expecting: {expected}"
            )
        expected = len(array)


def _rows(name: str, array: Array) -> list[Any]:
    """JSON of each row."""
    if array.ndim == 1 and array.dtype != object:
        return _scalars(array) if len(array) else []
    return [_fragment(name, row) for row in array]


def _scalars(array: Array) -> list[Any]:
    if array.dtype.kind != "f":
        return array.tolist()
    return [orjson.Fragment(number) for number in dump_numbers(array)[1:-1].split(b",")]


def _fragment(name: str, array: Any) -> orjson.Fragment:
    if isinstance(array, bytes):
        return orjson.Fragment(orjson.dumps(_string(name, array)))
    if array.dtype == object:
        nested = _nested(name, array)
        return orjson.Fragment(orjson.dumps(nested))
    if array.ndim == 0:
        return orjson.Fragment(_fragment_text(array.reshape(1))[1:-1])
    return orjson.Fragment(_fragment_text(array))


def _fragment_text(array: Array) -> bytes:
    if array.dtype.kind == "f":
        return dump_numbers(array)
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def _nested(name: str, array: Array) -> Any:
    if array.ndim == 0:
        return _string(name, array.item())
    return [_string(name, item) if array.ndim == 1 else _nested(name, item) for item in array]


def _string(name: str, value: bytes | str) -> Any:
    raw = value.encode() if isinstance(value, str) else value
    if name.endswith(_BYTES_SUFFIX):
        return {"b64": base64.b64encode(raw).decode()}
    return raw.decode(errors="replace")
