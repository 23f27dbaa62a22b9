"""JSON documents parsed as TensorFlow Serving parses them."""

import contextlib
import gc
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson

from lsp_keras.serving.errors import (
    MAX_MESSAGE_LENGTH,
    TRUNCATED,
    DeadlineExceededError,
    InvalidArgumentError,
)

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

_NOTHING = object()
_parsing = 0
_parsing_lock = threading.Lock()
# Bytes of memory for what each character begins or ends, as Python and NumPy keep it.
_COSTS = {"[": 96, "{": 320, ",": 48, '"': 40}
_CHUNK_BYTES = 1 << 20
# First byte of a character that makes all characters of its string four or two bytes large, and
# what the text and the strings made of it take then for each byte of the body.
_WIDE = {0xF0: 6, 0xC4: 2}


def json_cost(body: bytes) -> int:
    """Upper bound of the bytes of memory that the parsed document and its tensors take.

    Counts brackets, commas and quotation marks, in strings too, without parsing.
    """
    cost, widest = 4 * len(body), 0
    characters = np.frombuffer(body, np.uint8)
    # In pieces, for a comparison takes as much memory as what it compares.
    for start in range(0, len(body), _CHUNK_BYTES):
        chunk = characters[start : start + _CHUNK_BYTES]
        for character, size in _COSTS.items():
            cost += size * int(np.count_nonzero(chunk == ord(character)))
        widest = max(widest, int(chunk.max()))
    return cost + len(body) * next((size for first, size in _WIDE.items() if widest >= first), 0)


def parse_document(body: bytes, deadline: float | None = None) -> dict[str, Any]:
    """The JSON object in a request's body.

    NaN, Infinity and -Infinity are numbers. Text after the document is ignored.

    Args:
        body: Text in UTF-8.
        deadline: When to give up, on the monotonic clock; strict JSON is parsed in any case.

    Raises:
        InvalidArgumentError: The body is no JSON, or no object.
        DeadlineExceededError: It took too long.
    """
    if not body:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    with _collection_paused():
        try:
            document = orjson.loads(body)
        # Nearly all requests are strict JSON; NaN and the like are left to Python.
        except orjson.JSONDecodeError:
            document = _parse_leniently(body.removeprefix(_BYTE_ORDER_MARK), deadline)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {value_text(document)} Is not object")
    return document


@contextlib.contextmanager
def _collection_paused() -> Iterator[None]:
    """Parses without the garbage collector, which would go through all new lists many times.

    Millions of lists take five times as long with it, during which no other thread runs.
    """
    global _parsing
    with _parsing_lock:
        # A counter, since several threads parse at once: the first pauses, the last resumes.
        _parsing += 1
        if _parsing == 1:
            gc.disable()
    try:
        yield
    finally:
        with _parsing_lock:
            _parsing -= 1
            if not _parsing:
                gc.enable()


def _parse_leniently(body: bytes, deadline: float | None) -> Any:
    """Slower parser for what is no strict JSON but accepted all the same."""
    decoder = json.JSONDecoder(
        parse_float=_until(deadline, _parse_float),
        parse_int=_until(deadline, _parse_int),
        parse_constant=_until(deadline, float),
    )
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _parse_error("Invalid encoding in string.", error.start) from None
    try:
        document, _ = decoder.raw_decode(text, _skip_space(text))
    except json.JSONDecodeError as error:
        # RapidJSON counts bytes where Python counts characters.
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


def _until(deadline: float | None, parse: Callable[[str], float]) -> Callable[[str], float]:
    """The function, which raises once the time is up."""
    if deadline is None:
        return parse

    def parse_in_time(text: str) -> float:
        if time.monotonic() > deadline:
            raise DeadlineExceededError("Timed out.")
        return parse(text)

    return parse_in_time


def encode_text(text: str) -> bytes:
    """The UTF-8 of a string in a document, whose escapes may hold half a character.

    Raises:
        InvalidArgumentError: They do.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            "JSON Parse error: The surrogate pair in string is invalid."
        ) from None


def value_text(value: Any) -> str:
    """The value as JSON, cut where it is long, for messages.

    Reads no more of the value than it writes, however long or deep it is.
    """
    parts: list[str] = []
    length = 0
    for part in _pieces(value):
        parts.append(part)
        length += len(part)
        if length > MAX_MESSAGE_LENGTH:
            return "".join(parts)[:MAX_MESSAGE_LENGTH] + TRUNCATED
    return "".join(parts)


def _pieces(value: Any) -> Iterator[str]:
    """JSON of a value, piece by piece and without recursion."""
    # One iterator for each open bracket; depth costs memory here, not Python's call stack.
    stack = [_entries(value) if isinstance(value, list | dict) else iter([("", value)])]
    while stack:
        for text, item in stack[-1]:
            yield text
            if isinstance(item, list | dict):
                stack.append(_entries(item))
                break
            if item is not _NOTHING:
                yield _scalar_text(item)
        else:
            stack.pop()


def _entries(value: list[Any] | dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each item of a list or object with the text before it, and the brackets."""
    brackets = "[]" if isinstance(value, list) else "{}"
    yield brackets[0], _NOTHING
    for number, item in enumerate(value):
        separator = ", " if number else ""
        if isinstance(value, dict):
            yield f"{separator}{_scalar_text(item)}: ", value[item]
        else:
            yield separator, item
    yield brackets[1], _NOTHING


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        value = value[: MAX_MESSAGE_LENGTH + 1]
    return json.dumps(value, ensure_ascii=False)


def value_type(value: Any) -> str:
    """Type of a JSON value, as messages name it."""
    if isinstance(value, bool):
        return "True" if value else "False"
    return _TYPE_NAMES[type(value)]
