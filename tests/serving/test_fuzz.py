"""Whatever is sent, the answer is a clean one: no crash, no 500, no path, no traceback."""

import http.client
import json
import re
from collections.abc import Callable, Iterator

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

LEAK = re.compile(r"Traceback|site-packages|\.py\b|/usr/|/tmp/|/home/|/root/|object at 0x")
PREDICT = "/v1/models/affine:predict"
URL_PARTS = ["v1", "models", "affine", "versions", "labels", "metadata", ":predict", "1", ".."]
URL_PARTS += ["%2e", "%zz", "%00", "%F0", "?a", "/", ":"]
fuzz = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

signature_names = st.sampled_from(
    ["serving_default", "echo", "lengths", "positive", "classify", "half", "no"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.builds(lambda text: {"b64": text}, st.text(max_size=8))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
named = st.dictionaries(st.sampled_from(["x", "floats", "integers", "text", "z"]), values)
documents = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": signature_names | values,
        "instances": st.lists(named | values, max_size=4) | values,
        "inputs": named | values,
        "examples": st.lists(named, max_size=3) | values,
        "context": named | values,
    },
)


@pytest.fixture(scope="module")
def connection(server) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    yield opened
    opened.close()


def check(connection: http.client.HTTPConnection, method: str, path: str, body: bytes) -> None:
    connection.request(method, path, body)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status in (200, 400, 404, 501), content
    if answer.status != 200 and method != "HEAD":
        message = json.loads(content)["error"]
        # What the client itself sent may look like anything.
        assert not LEAK.search(message) or LEAK.search(path + body.decode(errors="replace"))


@fuzz
@given(documents, st.sampled_from(["predict", "classify", "regress"]))
def test_json_of_the_right_form_with_wrong_contents(connection, document, method) -> None:
    body = json.dumps(document).encode()
    check(connection, "POST", f"/v1/models/affine:{method}", body)


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes(connection, body: bytes) -> None:
    check(connection, "POST", PREDICT, body)


@fuzz
@given(st.text(max_size=20), st.integers(0, 60), st.text(max_size=3))
def test_broken_json(connection, text: str, position: int, inserted: str) -> None:
    body = json.dumps({"signature_name": "echo", "inputs": {"text": text, "floats": [1e5]}})
    broken = body[:position] + inserted + body[position + 1 :]
    check(connection, "POST", PREDICT, broken.encode(errors="surrogatepass"))


@fuzz
@given(
    st.lists(
        st.sampled_from(URL_PARTS),
        max_size=7,
    ),
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
)
def test_any_url(connection, parts: list[str], method: str) -> None:
    check(connection, method, "/v1/" + "/".join(parts), b'{"instances": [[1, 2, 3]]}')


tensors = st.builds(
    lambda dtype, sizes, floats, integers, strings, content: tensor_pb2.TensorProto(
        dtype=dtype,
        tensor_shape={"dim": [{"size": size} for size in sizes]},
        float_val=floats,
        int64_val=integers,
        int_val=[integer % 2**31 for integer in integers],
        string_val=strings,
        tensor_content=content,
    ),
    st.integers(0, 30),
    st.lists(st.integers(-1, 4) | st.integers(2**31, 2**62), max_size=3),
    st.lists(st.floats(width=32), max_size=4),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.lists(st.binary(max_size=4), max_size=3),
    st.binary(max_size=8) | st.just(b""),
)


@fuzz
@given(
    st.dictionaries(st.sampled_from(["x", "floats", "integers", "text", ""]), tensors),
    signature_names,
    st.lists(st.sampled_from(["y", "text", "z"]), max_size=2),
)
def test_any_tensors_over_grpc(stub, inputs, signature: str, names: list[str]) -> None:
    request = predict_pb2.PredictRequest(output_filter=names)
    request.model_spec.name, request.model_spec.signature_name = "affine", signature
    for name, tensor in inputs.items():
        request.inputs[name].CopyFrom(tensor)
    error = refusal(stub.Predict, request)
    if error:
        assert error.code().name in ("INVALID_ARGUMENT", "FAILED_PRECONDITION"), error
        assert not LEAK.search(error.details())


def refusal(call: Callable[..., object], message: object) -> grpc.RpcError | None:
    try:
        call(message, timeout=30)
    except grpc.RpcError as error:
        return error
    return None


@pytest.fixture(scope="module")
def stub(server) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@fuzz
@given(st.binary(max_size=100))
def test_any_bytes_over_grpc(server, raw_predict, message: bytes) -> None:
    error = refusal(raw_predict, message)
    if error:
        assert error.code() is not grpc.StatusCode.UNAVAILABLE
        assert not LEAK.search(error.details())


@pytest.fixture(scope="module")
def raw_predict(server) -> Iterator[grpc.UnaryUnaryMultiCallable]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        yield channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
