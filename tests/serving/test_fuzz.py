"""Whatever is sent, the answer is a clean one: no crash, no 500, no path, no traceback."""

import gzip
import http.client
import json
import logging
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2

LEAK = re.compile(
    r"Traceback|site-packages|\.py\b|/usr/|/tmp/|/home/|/root/|object at 0x|function_node"
)
PREDICT = "/v1/models/affine:predict"
URL_PARTS = ["v1", "models", "affine", "versions", "labels", "metadata", ":predict", "1", ".."]
URL_PARTS += ["%2e", "%zz", "%00", "%0A", "%F0", "?a", "/", ":", "9" * 30, "9" * 5000]
METHODS = ["predict", "classify", "regress"]
EXAMPLES = 100
ALL_KINDS_EXAMPLES = 4000
suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
fuzz = settings(max_examples=EXAMPLES, suppress_health_check=suppressed)
long_fuzz = settings(fuzz, max_examples=ALL_KINDS_EXAMPLES)


@dataclass
class Rest:
    """A request over REST."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Rpc:
    """A request over gRPC."""

    method: str
    message: bytes


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


def json_requests(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[Rest]:
    """The bodies, sent to each method."""
    return st.builds(
        lambda method, body: Rest("POST", f"/v1/models/affine:{method}", body),
        st.sampled_from(METHODS),
        bodies,
    )


def nest(openings: list[str], depth: int, inner: str, closed: float, key: str) -> bytes:
    """Lists and objects in each other, the closing brackets cut short or not."""
    opened = [openings[level % len(openings)] for level in range(depth)]
    closing = ["]" if opening.startswith("[") else "}" for opening in reversed(opened)]
    kept = closing[: round(closed * depth)]
    return f'{{"{key}": {"".join(opened)}{inner}{"".join(kept)}}}'.encode()


def compress(bodies: list[bytes], level: int, cut: int, flip: int | None, tail: bytes) -> bytes:
    """Members of gzip, perhaps damaged, cut short or followed by something else."""
    data = bytearray(b"".join(gzip.compress(body, level) for body in bodies))
    if flip is not None and data:
        data[flip % len(data)] ^= 1 << flip % 8
    return bytes(data[: len(data) - cut]) + tail


def bomb(piece: bytes, repeats: int, key: str) -> bytes:
    """Up to 300 MB of JSON in a few hundred kilobytes."""
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    head, tail = f'{{"{key}": ['.encode(), b"1]}"
    parts = [head, *[piece * 10_000] * repeats, tail]
    return b"".join([*map(compressor.compress, parts), compressor.flush()])


json_bodies = st.builds(lambda document: json.dumps(document).encode(), documents)
keys = st.sampled_from(["instances", "inputs", "examples", "context", "signature_name"])
nested_bodies = st.builds(
    nest,
    st.lists(st.sampled_from(["[", '{"x":', "[1,", "[[],", '{"b64":']), min_size=1, max_size=3),
    st.integers(0, 5000) | st.sampled_from([63, 64, 65, 66, 1021, 1022, 1023, 1024, 100_000]),
    st.sampled_from(["", "1", "null", "NaN", '"a"', "[]", "{}"]),
    st.just(1.0) | st.floats(0, 1),
    keys,
)
broken_bodies = st.builds(
    lambda text, position, inserted: (
        (body := json.dumps({"signature_name": "echo", "inputs": {"text": text, "floats": [1e5]}}))[
            :position
        ]
        + inserted
        + body[position + 1 :]
    ).encode(errors="surrogatepass"),
    st.text(max_size=20),
    st.integers(0, 60),
    st.text(max_size=3),
)
gzip_bodies = st.builds(
    compress,
    st.lists(json_bodies | nested_bodies | st.binary(max_size=50), min_size=1, max_size=3),
    st.integers(0, 9),
    st.integers(0, 40) | st.just(0),
    st.none() | st.integers(0, 10_000),
    st.just(b"") | st.binary(max_size=10),
)
bombs = st.builds(
    bomb,
    st.sampled_from([b"1,", b"[],", b"{},", b'"a",', b"[[1]],", b"0.5,", b'{"x":1},', b" "]),
    st.integers(0, 3000) | st.integers(0, 100),
    keys,
)
compressed = st.builds(
    lambda request, encoding: Rest(
        request.method, request.path, request.body, {"Content-Encoding": encoding}
    ),
    json_requests(gzip_bodies),
    st.sampled_from(["gzip", "GZIP", "x-gzip", "gzip, gzip", "deflate", ""]),
)
urls = st.builds(
    lambda parts, method: Rest(method, "/v1/" + "/".join(parts), b'{"instances": [[1, 2, 3]]}'),
    st.lists(st.sampled_from(URL_PARTS), max_size=7),
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"]),
)
large_sizes = st.integers(2**31, 2**62) | st.sampled_from([1000, 2**18, 2**20, 2**28])
sizes = st.integers(-1, 4) | large_sizes
tensors = st.builds(
    lambda dtype, sizes, floats, integers, strings, content, unknown: tensor_pb2.TensorProto(
        dtype=dtype,
        tensor_shape={"dim": [{"size": size} for size in sizes], "unknown_rank": unknown},
        float_val=floats,
        int64_val=integers,
        int_val=[integer % 2**31 for integer in integers],
        string_val=strings,
        tensor_content=content,
    ),
    st.sampled_from([1, 3, 7, 9]) | st.integers(0, 30),
    st.lists(sizes, max_size=3) | st.lists(sizes, max_size=70),
    st.lists(st.floats(width=32), max_size=4),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.lists(st.binary(max_size=4), max_size=3),
    st.binary(max_size=8) | st.just(b""),
    st.sampled_from([False, False, False, True]),
)


def predict_message(inputs: dict[str, object], signature: str, names: list[str]) -> bytes:
    request = predict_pb2.PredictRequest(output_filter=names)
    request.model_spec.name, request.model_spec.signature_name = "affine", signature
    for name, tensor in inputs.items():
        request.inputs[name].CopyFrom(tensor)
    return request.SerializeToString()


predictions = st.builds(
    lambda message: Rpc("Predict", message),
    st.builds(
        predict_message,
        st.fixed_dictionaries({"floats": tensors, "integers": tensors, "text": tensors})
        | st.fixed_dictionaries({"x": tensors})
        | st.dictionaries(st.sampled_from(["x", "floats", "integers", "text", ""]), tensors),
        signature_names,
        st.lists(st.sampled_from(["y", "text", "z"]), max_size=2),
    ),
)
strange_texts = st.text("a\ud800\udfff\0\n", max_size=3)
strange_objects = st.dictionaries(strange_texts, strange_texts, max_size=2)
strange_documents = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": strange_texts | signature_names,
        "instances": st.lists(strange_texts | strange_objects, max_size=2),
        "inputs": strange_texts | strange_objects,
        "examples": st.lists(strange_objects, max_size=2),
        "context": strange_objects,
    },
)
# Rows for one input where there are several, and objects where there is one.
other_forms = st.builds(
    lambda signature, key, first, more: {"signature_name": signature, key: [first, *more]},
    st.sampled_from(["echo", "lengths"]),
    st.sampled_from(["instances", "inputs"]),
    st.sampled_from([{"b64": "AA"}, {"b64": "AA", "floats": 1}, {"floats": 1}, "AA", 1, [], {}]),
    st.lists(named | scalars, max_size=2),
)
copied_contexts = st.builds(
    lambda signature, size, count: {
        "signature_name": signature,
        "context": {"x": 1.0, "more": "a" * size},
        "examples": [{}] * count,
    },
    st.sampled_from(["classify", "regress"]),
    st.integers(0, 20_000),
    st.integers(1, 3000),
)
strange_bodies = st.builds(
    lambda document: json.dumps(document).encode(),
    strange_documents | other_forms | copied_contexts,
)
string_tensors = st.builds(
    lambda strings: tensor_pb2.TensorProto(
        dtype=7, tensor_shape={"dim": [{"size": len(strings)}]}, string_val=strings
    ),
    st.lists(st.binary(max_size=20), min_size=1, max_size=3),
)
empty_tensors = st.builds(
    lambda dtype, sizes: tensor_pb2.TensorProto(
        dtype=dtype, tensor_shape={"dim": [{"size": size} for size in sizes]}
    ),
    st.sampled_from([1, 7, 9]),
    st.permutations([0, 2**20, 500]) | st.permutations([0, 2**29]) | st.permutations([0, 7]),
)
strange_messages = st.builds(
    lambda inputs, signature: Rpc("Predict", predict_message(inputs, signature, [])),
    st.fixed_dictionaries({"inputs": string_tensors})
    | st.fixed_dictionaries({"data_bytes": string_tensors})
    | st.fixed_dictionaries(dict.fromkeys(["floats", "integers", "text"], empty_tensors)),
    st.sampled_from(["classify", "regress", "lengths", "echo"]),
)
many_fields = st.builds(
    lambda head, unit, repeats: Rpc("Predict", head + unit * repeats),
    st.sampled_from([b"", classification_pb2.ClassificationRequest().SerializeToString()]),
    st.sampled_from([b"\x1a\x00", b"\x12\x00", b"\x12\x02\x12\x00", b"\x08\x01", b"\x0a\x00"]),
    st.sampled_from([1, 100, 20_000, 200_000]),
)
raw_messages = st.builds(
    Rpc, st.sampled_from(["Predict", "Classify", "MultiInference"]), st.binary(max_size=100)
)
KINDS = {
    "JSON of the right form with wrong contents": json_requests(json_bodies),
    "any bytes": json_requests(st.binary(max_size=200)),
    "broken JSON": json_requests(broken_bodies),
    "nested JSON": json_requests(nested_bodies),
    "compressed bodies": compressed,
    "any URL": urls,
    "any tensors": predictions,
    "any bytes over gRPC": raw_messages,
    "strange strings, other forms and large claims": json_requests(strange_bodies),
    "strange strings and large claims over gRPC": strange_messages,
}
LARGE_KINDS = {
    "bombs": json_requests(bombs).map(
        lambda request: Rest("POST", request.path, request.body, {"Content-Encoding": "gzip"})
    ),
    "many fields": many_fields,
}


class Sender:
    """Sends requests to a server and looks at the answers."""

    def __init__(self, rest_port: int, grpc_port: int) -> None:
        self._rest = http.client.HTTPConnection("127.0.0.1", rest_port, timeout=60)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}")
        self._calls: dict[str, Callable[..., bytes]] = {}

    def close(self) -> None:
        self._rest.close()
        self._channel.close()

    def send(self, request: Rest | Rpc) -> None:
        if isinstance(request, Rest):
            self._send_rest(request)
        else:
            self._send_rpc(request)

    def _send_rest(self, request: Rest) -> None:
        self._rest.request(request.method, request.path, request.body, request.headers)
        answer = self._rest.getresponse()
        content = answer.read()
        assert answer.status in (200, 400, 404, 413, 501), content
        if answer.status != 200:
            message = json.loads(content)["error"]
            # What the client itself sent may look like anything.
            sent = request.path + request.body.decode(errors="replace")
            assert not LEAK.search(message) or LEAK.search(sent) or request.headers

    def _send_rpc(self, request: Rpc) -> None:
        name = f"/tensorflow.serving.PredictionService/{request.method}"
        call = self._calls.setdefault(name, self._channel.unary_unary(name))
        error = _refusal(call, request.message)
        if error:
            known = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "UNIMPLEMENTED"}
            assert error.code().name in known, error
            assert not LEAK.search(error.details())


def _refusal(call: Callable[..., object], message: bytes) -> grpc.RpcError | None:
    try:
        call(message, timeout=60)
    except grpc.RpcError as error:
        return error
    return None


class Errors(logging.Handler):
    """Keeps what a log says of errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@pytest.fixture(scope="module")
def sender(server) -> Iterator[Sender]:
    """Sends to the module's server, whose log must stay free of errors."""
    errors = Errors()
    logging.getLogger().addHandler(errors)
    opened = Sender(server.rest_port, server.grpc_port)
    yield opened
    opened.close()
    logging.getLogger().removeHandler(errors)
    assert errors.messages == []
    assert server._budget.used == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_request_has_a_clean_answer(sender, kind: str) -> None:
    @fuzz
    @given(KINDS[kind])
    def check(request: Rest | Rpc) -> None:
        sender.send(request)

    check()


@pytest.mark.parametrize("kind", LARGE_KINDS)
def test_large_contents_have_a_clean_answer(sender, kind: str) -> None:
    @settings(fuzz, max_examples=10)
    @given(LARGE_KINDS[kind])
    def check(request: Rest | Rpc) -> None:
        sender.send(request)

    check()


@pytest.mark.slow
def test_four_thousand_requests_of_all_kinds(sender) -> None:
    @long_fuzz
    @given(st.one_of(*KINDS.values(), *LARGE_KINDS.values()))
    def check(request: Rest | Rpc) -> None:
        sender.send(request)

    check()
