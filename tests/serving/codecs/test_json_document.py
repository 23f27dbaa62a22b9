"""What a document costs, before it is parsed."""

import tracemalloc

import pytest
import tensorflow as tf

from lsp_keras.serving.codecs.json_decode import to_tensor
from lsp_keras.serving.codecs.json_document import _parse_leniently, json_cost
from lsp_keras.serving.models.signatures import TensorSpec

SIZE = 200_000
LETTERS = "a" * SIZE
DOCUMENTS = {
    "a string": f'{{"inputs": "{LETTERS}"}}',
    "one wide character": f'{{"inputs": "{LETTERS}\U0001f600"}}',
    "one of 16 bits": f'{{"inputs": "{LETTERS}\u4e00"}}',
    "a wide key": f'{{"{LETTERS}\U0001f600": 1, "inputs": "a"}}',
    "base64": f'{{"inputs": {{"b64": "{LETTERS}"}}}}',
    "strings": f'{{"inputs": [{SIZE // 5 * """"ab","""}"a"]}}',
    "base64 of one byte": f'{{"inputs": [{SIZE // 13 * """{"b64":"AA"},"""}"a"]}}',
    "empty lists": f'{{"inputs": "a", "c": [{SIZE // 3 * "[],"}1]}}',
    "empty objects": f'{{"inputs": "a", "c": [{SIZE // 3 * "{},"}1]}}',
    "objects": f'{{"inputs": "a", "c": [{"".join(f"""{{"k{i}":1}},""" for i in range(15_000))}1]}}',
    "digits": f'{{"inputs": "a", "c": [{SIZE // 2 * "1,"}1]}}',
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_costs_no_more_than_was_told(text: str) -> None:
    body = text.encode()
    told = json_cost(body)
    tracemalloc.start()
    document = _parse_leniently(body, None)
    to_tensor(document["inputs"], TensorSpec("x:0", tf.string, None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= told
