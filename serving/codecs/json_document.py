"""JSON documents parsed as TensorFlow Serving parses them."""

import json
import math
from typing import Any

import orjson

from lsp_keras.serving.errors import MAX_MESSAGE_LENGTH, TRUNCATED, InvalidArgumentError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Python's wording to RapidJSON's.
_MESSAGES = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or closing bracket after an element.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}
_TYPE_NAMES = {
    type(None): "Null",
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}


def parse_document(body: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.

    NaN, Infinity and -Infinity are numbers. Text after the document is ignored.

    Raises:
        InvalidArgumentError: The body is no JSON, or no object.
    """
    if not body:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _parse_leniently(body.removeprefix(_BYTE_ORDER_MARK))
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {value_text(document)} Is not object")
    return document


def _parse_leniently(body: bytes) -> Any:
    """Slower parser for what is no strict JSON but accepted all the same."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _parse_error("Invalid encoding in string.", error.start) from None
    try:
        document, _ = _DECODER.raw_decode(text, _skip_space(text))
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode(errors="replace"))
        raise _parse_error(_MESSAGES.get(error.msg, "Invalid value."), offset) from None
    except RecursionError:
        raise InvalidArgumentError("JSON Parse error: Nested too deeply") from None
    except OverflowError:
        raise InvalidArgumentError(
            "JSON Parse error: Number too big to be stored in double."
        ) from None
    return document


def _skip_space(text: str) -> int:
    return len(text) - len(text.lstrip(" \t\r\n"))


def _parse_error(message: str, offset: int) -> InvalidArgumentError:
    return InvalidArgumentError(f"JSON Parse error: {message} at offset: {offset}")


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise OverflowError
    return number


def _parse_int(text: str) -> int | float:
    if len(text) > 308:
        return _parse_float(text)
    number = int(text)
    # As in orjson and RapidJSON, what does not fit 64 bits is a floating-point number.
    return number if -(2**63) <= number < 2**64 else float(number)


_DECODER = json.JSONDecoder(parse_float=_parse_float, parse_int=_parse_int)


def value_text(value: Any) -> str:
    """The value as JSON, cut where it is long, for messages."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MAX_MESSAGE_LENGTH:
        return text[:MAX_MESSAGE_LENGTH] + TRUNCATED
    return text


def value_type(value: Any) -> str:
    """Type of a JSON value, as messages name it."""
    if isinstance(value, bool):
        return "True" if value else "False"
    return _TYPE_NAMES[type(value)]
