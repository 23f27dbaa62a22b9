"""Classify and regress requests in JSON, and their answers."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from tensorflow_serving.apis import input_pb2

from lsp_keras.serving.codecs.decimals import dump_numbers
from lsp_keras.serving.codecs.json_decode import decode_base64, is_base64, signature_name
from lsp_keras.serving.codecs.json_document import (
    encode_text,
    parse_document,
    value_text,
    value_type,
)
from lsp_keras.serving.errors import DeadlineExceededError, InvalidArgumentError

_INT64_LIMIT = 2**63


def decode_examples(body: bytes, deadline: float | None = None) -> tuple[str, Any]:
    """Signature name (empty for the default) and `Input` of a classify or regress request.

    Args:
        body: Body of the request, `{"signature_name": ..., "context": {...}, "examples": [{...}]}`.
        deadline: When to give up, on the monotonic clock.

    Raises:
        InvalidArgumentError: In the words of TensorFlow Serving.
    """
    document = parse_document(body, deadline)
    name = signature_name(document)
    request = input_pb2.Input()
    add = request.example_list.examples.add
    if "context" in document:
        with_context = request.example_list_with_context
        _fill_example(document["context"], with_context.context)
        add = with_context.examples.add
    for example in _examples(document):
        if deadline is not None and time.monotonic() > deadline:
            raise DeadlineExceededError("Timed out.")
        _fill_example(example, add())
    return name, request


def _examples(document: dict[str, Any]) -> list[Any]:
    text = f"JSON Value: {value_text(document)}"
    if "examples" not in document:
        raise InvalidArgumentError(
            f"{text} When method is classify, key 'examples' is expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise InvalidArgumentError(f"{text} Expecting 'examples' value to be an list/array")
    if not examples:
        raise InvalidArgumentError(f"{text} 'examples' value is an empty array")
    return examples


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"Example must be JSON object but got JSON {value_type(value)}")
    for name, content in value.items():
        encode_text(name)
        feature = example.features.feature[name]
        _fill_feature(name, content if isinstance(content, list) else [content], feature)


def _fill_feature(name: str, values: list[Any], feature: Any) -> None:
    kinds = {_kind(name, value) for value in values}
    if len(kinds) > 1:
        first = _kind(name, values[0])
        raise InvalidArgumentError(
            f"Unexpected element type in feature: {name} expecting type: {first}"
        )
    for kind in kinds:
        converted = [_CONVERT[kind](value) for value in values]
        getattr(feature, f"{kind}_list").value.extend(converted)


def _kind(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "int64"
    if isinstance(value, int):
        if not -_INT64_LIMIT <= value < _INT64_LIMIT:
            raise InvalidArgumentError(
                f"Feature: {name} has uint64 element. Only int64 is supported."
            )
        return "int64"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    raise InvalidArgumentError(
        f"Feature: {name} has element with unexpected JSON type: {value_type(value)}"
    )


def _bytes(value: Any) -> bytes:
    return encode_text(value) if isinstance(value, str) else decode_base64(value["b64"])


def _float32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


_CONVERT: dict[str, Callable[[Any], Any]] = {"int64": int, "float": _float32, "bytes": _bytes}


def encode_classification(result: Any) -> bytes:
    """`{"results": [[[label, score], ...], ...]}`."""
    results = [
        [[entry.label, _number(entry.score)] for entry in classifications.classes]
        for classifications in result.classifications
    ]
    return orjson.dumps({"results": results})


def encode_regression(result: Any) -> bytes:
    """`{"results": [value, ...]}`."""
    values = np.array([regression.value for regression in result.regressions], np.float32)
    return b'{"results":%s}' % dump_numbers(values)


def _number(value: float) -> orjson.Fragment:
    return orjson.Fragment(dump_numbers(np.array([value], np.float32))[1:-1])
