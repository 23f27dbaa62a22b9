"""The OpenAPI document, held against what the server answers."""

import json
import re
from typing import Any

import pytest
import requests

from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.options import ServerOptions
from lsp_keras.serving.rest.openapi import openapi
from lsp_keras.serving.server import running

VALUES = {"model": "affine", "version": "1", "label": "stable"}
BODIES: dict[str, Any] = {
    "predict": {"instances": [[1, 2, 3]]},
    "classify": {"signature_name": "classify", "examples": [{"x": 1.0}]},
    "regress": {"signature_name": "regress", "examples": [{"x": 1.0}]},
}
DOCUMENT = openapi("Model server", with_token=False)


@pytest.fixture(scope="module")
def url(affine_folder):
    config = ModelConfig("affine", affine_folder, labels={"stable": 1})
    with running([config], ServerOptions(rest_port=0, grpc_port=None)) as server:
        yield f"http://127.0.0.1:{server.rest_port}"


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value has the form of a schema, of the few words that the document uses."""
    if "$ref" in schema:
        return fits(value, DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if "oneOf" in schema:
        return sum(fits(value, choice) for choice in schema["oneOf"]) == 1
    if "enum" in schema:
        return value in schema["enum"]
    kinds = {"object": dict, "array": list, "string": str}
    if not isinstance(value, kinds.get(schema.get("type", ""), object)):
        return False
    if not set(schema.get("required", ())) <= set(value if isinstance(value, dict) else ()):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(fits(item, schema["items"]) for item in value)
    properties = schema.get("properties", {})
    content: Any = value
    return all(fits(content[name], properties[name]) for name in properties if name in content)


def schema_of(response: dict[str, Any]) -> dict[str, Any]:
    return response["content"]["application/json"]["schema"]


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_path_answers_as_described(url: str, path: str) -> None:
    ((method, operation),) = DOCUMENT["paths"][path].items()
    names = re.findall(r"{(\w+)}", path)
    assert [parameter["name"] for parameter in operation.get("parameters", [])] == names
    body = BODIES.get(path.rpartition(":")[2])
    if body is not None:
        assert fits(body, schema_of(operation["requestBody"]))
    answer = requests.request(method, url + path.format(**VALUES), json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    if "content" in operation["responses"]["200"]:
        assert fits(answer.json(), schema_of(operation["responses"]["200"]))
    for name in names:
        wrong = url + path.format(**{**VALUES, name: "9"})
        refused = requests.request(method, wrong, json=body, timeout=30)
        # Labels are ignored where states are asked for.
        if refused.status_code != 200:
            assert fits(refused.json(), schema_of(operation["responses"][str(refused.status_code)]))


def test_the_document_is_served(url: str) -> None:
    answer = requests.get(f"{url}/openapi.json", timeout=30)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))


def test_only_the_extension_is_marked() -> None:
    mark = "x-extension-of-tensorflow-serving"
    marked = [path for path, item in DOCUMENT["paths"].items() if mark in item.get("get", {})]
    assert marked == ["/v1/models"]


def test_a_token_is_described_where_one_is_needed() -> None:
    document = openapi("m", with_token=True)
    (name,) = document["components"]["securitySchemes"]
    assert document["security"] == [{name: []}]
    assert document["paths"]["/livez"]["get"]["security"] == []


def test_every_reference_leads_somewhere() -> None:
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT))
    assert set(references) == set(DOCUMENT["components"]["schemas"])
