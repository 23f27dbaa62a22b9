"""REST as TensorFlow Serving answers it, over a real socket."""

import gzip
import json
import math

import pytest
import requests

PREDICT = "/v1/models/affine:predict"


def test_rows_of_one_input_need_no_names(post) -> None:
    answer = post(PREDICT, {"instances": [[1.0, 2.0, 3.0], [0, 0, -1]]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"predictions": [[2.5, 4.5, 6.5], [0.5, 0.5, -1.5]]}


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"x": [1, 2, 3]}]},
        {"signature_name": "serving_default", "instances": [[1, 2, 3]]},
    ],
)
def test_rows_by_name_and_signature(post, body) -> None:
    assert post(PREDICT, body).json() == {"predictions": [[2.5, 4.5, 6.5]]}


@pytest.mark.parametrize(
    "inputs", [[[1, 2, 3]], {"x": [[1, 2, 3]]}, {"x": [[1, 2, 3]], "unknown": 1}]
)
def test_columns(post, inputs) -> None:
    assert post(PREDICT, {"inputs": inputs}).json() == {"outputs": [[2.5, 4.5, 6.5]]}


def test_several_outputs_are_objects_and_bytes_are_base64(post) -> None:
    row = {"floats": 0.1, "integers": -(2**63), "text": "Größe"}
    answer = post(PREDICT, {"signature_name": "echo", "instances": [row]})
    expected = {**row, "raw_bytes": {"b64": "R3LDtsOfZQ=="}}
    assert answer.json() == {"predictions": [expected]}


def test_columns_may_have_different_batch_sizes_and_scalars(post) -> None:
    inputs = {"floats": [1.5, 2.0], "integers": 7, "text": [["a"], ["b"], ["c"]]}
    answer = post(PREDICT, {"signature_name": "echo", "inputs": inputs}).json()["outputs"]
    assert {key: answer[key] for key in inputs} == inputs
    summed = post(PREDICT, {"signature_name": "positive", "inputs": [1, 2]})
    assert summed.json() == {"outputs": {"rows": [1.0, 2.0], "y": 3.0}}


def test_infinities_and_nan_go_in_and_out(post) -> None:
    body = '{"instances": [[NaN, Infinity, -Infinity], [1e39, -1e39, 0]]} and some text'
    answer = post(PREDICT, body)
    assert answer.text == '{"predictions":[[NaN,Infinity,-Infinity],[Infinity,-Infinity,0.5]]}'
    assert math.isnan(json.loads(answer.text)["predictions"][0][0])


def test_bytes_are_decoded(post) -> None:
    body = {"signature_name": "lengths", "instances": [{"b64": "AAEC"}, {"b64": "AA"}, "text"]}
    assert post(PREDICT, body).json() == {"predictions": [3, 1, 4]}


def test_gzip_bodies_are_inflated_and_the_content_type_is_ignored(post) -> None:
    body = gzip.compress(b'{"instances": [[0, 0, 0]]}')
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
    answer = post(PREDICT, body, headers=headers)
    assert answer.json() == {"predictions": [[0.5, 0.5, 0.5]]}
    assert "content-encoding" not in answer.headers
    broken = post(PREDICT, b"no gzip", headers=headers)
    assert (broken.status_code, "gzip" in broken.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error: Missing a name for object member. at offset: 1"),
        ('{"instances": [1e400]}', "Number too big to be stored in double."),
        ("[1]", "JSON Value: [1] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"inputs": 1, "instances": [1]}', "expecting only one of 'inputs' or 'instances'"),
        ('{"instances": 1}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": [[1, 2, "3"]]}', 'JSON Value: "3" Type: String is not of expected'),
        ('{"instances": [[1, 2, true]]}', "JSON Value: true Type: True is not of expected"),
        ('{"instances": [[1, 2, null]]}', "Type: Null is not of expected type: float"),
        ('{"instances": [[1, 2, 3], [1, 2]]}', "Expecting tensor size: 3 but got: 2"),
        ('{"instances": [[1, 2]]}', "has shape [1,2]; the signature expects [-1,3]"),
        ('{"instances": [{"z": [1, 2, 3]}]}', "does not have named input: z"),
        ('{"inputs": {"z": [1, 2, 3]}}', "Missing named input: x in 'inputs' object."),
        ('{"signature_name": 1, "instances": [1]}', "must be a string value"),
        ('{"signature_name": "no", "instances": [1]}', '"no" not found in signature def'),
        ('{"signature_name": "half", "instances": [1]}', "JSON value for tensor type: half"),
        ('{"signature_name": "positive", "instances": [1]}', "Tensor name: y has no shape"),
        ('{"signature_name": "positive", "instances": [-1]}', "x must be positive"),
        ('{"signature_name": "slow", "inputs": 1.0}', "is not of expected type: int32"),
        ('{"signature_name": "lengths", "instances": [{"b64": "A-_A"}]}', "base64 decode"),
        ("[" * 500_000, "JSON Parse error"),
        ("[" * 500_000 + "NaN", "JSON Parse error"),
        ('{"inputs": ' + "[" * 65 + "1" + "]" * 65 + "}", "nested deeper than 64 levels"),
        ('{"inputs": ' + "[" * 1000 + "1" + "]" * 1000 + "}", "nested deeper than 64 levels"),
        ('{"instances": ' + '{"x":' * 1000 + "1" + "}" * 1000 + "}", "to be an list/array"),
        ('{"signature_name": ' + "[" * 900 + "]" * 900 + "}", "must be a string value"),
    ],
)
def test_wrong_bodies_are_400_in_upstreams_words(post, body: str, message: str) -> None:
    answer = post(PREDICT, body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]


def test_the_models_own_error_hides_paths_and_tracebacks(post) -> None:
    error = post(PREDICT, {"signature_name": "positive", "instances": [-1]}).json()["error"]
    assert "x must be positive" in error
    assert ".py" not in error
    assert "node" not in error
    assert "Traceback" not in error


@pytest.mark.parametrize("method", ["predict", "classify", "regress"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"signature_name": "\\ud800", "examples": [{}], "instances": [1]}',
        b'{"signature_name": "lengths", "instances": ["\\ud800"], "examples": [{"x": "\\udfff"}]}',
        b'{"signature_name": "lengths", "instances": ["\\ud800"], "examples": [{"\\udfff": 1}]}',
        b'{"instances": [{"\\ud800": 1}], "examples": [{}], "context": {"\\ud800": 1}}',
    ],
)
def test_half_a_character_is_refused_in_every_string(post, method: str, body: bytes) -> None:
    assert post(f"/v1/models/affine:{method}", body).status_code == 400


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_a_context_for_many_examples_is_refused(post, method: str) -> None:
    context = {"x": 1.0, "more": "a" * 20_000}
    body = {"signature_name": method, "context": context, "examples": [{}] * 5000}
    answer = post(f"/v1/models/affine:{method}", body)
    assert answer.status_code == 400
    assert "copies of the context" in answer.json()["error"]
    body["examples"] = [{}, {"x": 2.0}]
    assert len(post(f"/v1/models/affine:{method}", body).json()["results"]) == 2


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/models/other:predict", 404, "Servable not found for request: Latest(other)"),
        (
            "/v1/models/affine/versions/9:predict",
            404,
            "Servable not found for request: Specific(affine, 9)",
        ),
        ("/v1/models/affine/labels/no:predict", 400, "Unrecognized servable version label: no"),
        ("/v1/models/affine:guess", 400, "Malformed request: POST /v1/models/affine:guess"),
        ("/v1/models/affine:predict?a=1", 400, "Malformed request: POST"),
        ("/v1/models/a/versions/x:predict", 400, "Malformed request: POST"),
        (f"/v1/models/affine/versions/{2**63}:predict", 400, "Failed to convert version"),
        ("/v1/models/affine/versions/" + "9" * 5000 + ":predict", 400, "Failed to convert version"),
        ("/v1/models/affine:PREDICT", 400, "Malformed request: POST /v1/models/affine:PREDICT"),
        ("/elsewhere", 404, "Not found"),
        ("/v1/models/a%0Ab:predict", 404, "Servable not found for request: Latest(a\nb)"),
        ("/v1/models/%00:predict", 404, "Servable not found for request: Latest(\0)"),
        ("/v1/%0A", 400, "Malformed request: POST /v1/%0A"),
        ("/%0A", 404, "Not found: /%0A"),
    ],
)
def test_wrong_urls(post, path: str, status: int, message: str) -> None:
    answer = post(path, {"instances": [[1, 2, 3]]})
    assert answer.status_code == status
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/V1/Models/affine:predict",
        "/v1/models/affine/VERSIONS/0001:predict",
        "/v1/models/affine/versions/1:predict",
        "/v1/models/%61ffine:predict",
    ],
)
def test_other_spellings_of_the_url(post, path: str) -> None:
    assert post(path, {"instances": [[0, 0, 0]]}).json() == {"predictions": [[0.5, 0.5, 0.5]]}


def test_other_methods_are_malformed(server) -> None:
    url = f"http://127.0.0.1:{server.rest_port}{PREDICT}"
    for method in ("PUT", "DELETE", "GET", "PATCH", "TRACE", "PROPFIND", "LOCK", "PURGE", "LINK"):
        answer = requests.request(method, url, timeout=30)
        assert answer.status_code == 400
        assert answer.json()["error"] == f"Malformed request: {method} {PREDICT}"
        elsewhere = requests.request(method, url.replace("/v1/", "/v2/"), timeout=30)
        assert (elsewhere.status_code, list(elsewhere.json())) == (404, ["error"])
    assert requests.head(url, timeout=30).status_code == 400


def test_a_browsers_question_needs_an_origin(server) -> None:
    url = f"http://127.0.0.1:{server.rest_port}{PREDICT}"
    answer = requests.options(url, timeout=30)
    assert answer.status_code == 400
    assert answer.json() == {"error": "Origin header is missing in CORS preflight"}
    answer = requests.options(url, headers={"Origin": "https://example.com"}, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "access-control-allow-origin" not in answer.headers


def test_the_body_is_parsed_before_its_model_is_looked_for(post) -> None:
    path = "/v1/models/other:predict"
    assert post(path, "{").status_code == 400
    assert post(path, {"signature_name": 1}).status_code == 400
    assert post(path, {"instances": 1}).status_code == 404
    assert post("/v1/models/other:classify", {"examples": [{}]}).status_code == 404
    assert post("/v1/models/other:classify", {"examples": 1}).status_code == 400


# Labels are ignored, and `metadata` is a word in small letters.
@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/none", "/METADATA"])
def test_status(get, path: str) -> None:
    answer = get(f"/v1/models/affine{path}")
    assert answer.status_code == 200
    assert answer.json() == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/models/other", 404, "Could not find any versions of model other"),
        ("/v1/models/affine/versions/9", 404, "Could not find version 9 of model affine"),
        ("/v1/models/metadata", 404, "Could not find any versions of model metadata"),
        ("/v1/models/versions/1", 400, "Missing model name in request."),
        ("/v1/Models/labels/a/metadata", 400, "Missing model name in request."),
        ("/v1/models/affine/versions/" + "9" * 5000, 400, "Failed to convert version: 9999"),
        ("/v1/models?a=1", 400, "Malformed request: GET /v1/models?a=1"),
        ("/v1/models/affine?a=1", 400, "Malformed request: GET /v1/models/affine?a=1"),
        ("/v1/other", 400, "Malformed request: GET /v1/other"),
        ("/v1/models/other/metadata", 404, "Servable not found for request: Latest(other)"),
    ],
)
def test_wrong_status_urls(get, path: str, status: int, message: str) -> None:
    answer = get(path)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(message)


def test_metadata_is_snake_case_proto_json(get) -> None:
    answer = get("/v1/models/affine/metadata").json()
    assert answer["model_spec"] == {"name": "affine", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == [
        "classify",
        "echo",
        "half",
        "lengths",
        "positive",
        "regress",
        "serving_default",
        "slow",
    ]
    default = signatures["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict"
    assert default["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert default["inputs"]["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}],
        "unknown_rank": False,
    }


def test_classify_and_regress(post) -> None:
    examples = {"examples": [{"x": 1.5}, {"x": [float("inf")]}]}
    body = json.dumps({"signature_name": "classify", **examples})
    answer = post("/v1/models/affine:classify", body)
    assert answer.text == (
        '{"results":[[["low",-1.5],["high",1.5]],[["low",-Infinity],["high",Infinity]]]}'
    )
    regress = {"signature_name": "regress", "context": {"x": 2.0}, "examples": [{}, {"x": 0.25}]}
    assert post("/v1/models/affine/versions/1:regress", regress).json() == {"results": [4.0, 0.5]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [1, 0.5]}]}, "Unexpected element type in feature: x"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ({"examples": [{"x": {"b64": "?"}}]}, "Unable to base64 decode"),
        ({"examples": [{"x": 1}]}, "Data types don't match"),
        ({"signature_name": "no", "examples": [{}]}, "No signature was found with the name: no"),
        ({"signature_name": "serving_default", "examples": [{}]}, "No classification inputs"),
    ],
)
def test_wrong_examples(post, body, message: str) -> None:
    answer = post("/v1/models/affine:classify", {"signature_name": "classify", **body})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize("path", ["/v1/models", "/V1/models"])
def test_models_are_listed(get, path: str) -> None:
    answer = get(path)
    assert answer.status_code == 200
    assert answer.json() == {"models": [{"name": "affine", "versions": ["1"]}]}
