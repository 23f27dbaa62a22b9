"""One interface over REST and gRPC, against a real server."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lsp_keras.serving import Client, ClientError, Retries
from lsp_keras.serving.client.base import SignatureInfo, TemporaryError
from lsp_keras.serving.client.client import _batch, _prediction
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.server import running
from lsp_keras.validation import InputError

NO_RETRIES = Retries(count=0)


@pytest.fixture(scope="module", params=["http", "grpc"])
def client(request, server) -> Iterator[Client]:
    port = server.rest_port if request.param == "http" else server.grpc_port
    url = f"{request.param}://127.0.0.1:{port}"
    with Client(url, model="affine", retries=NO_RETRIES) as opened:
        yield opened


def test_arrays_go_in_and_out(client) -> None:
    outputs = client.predict([[1, 2, 3]])
    np.testing.assert_array_equal(outputs["y"], np.array([[2.5, 4.5, 6.5]], np.float32))
    assert outputs["y"].dtype == np.float32


def test_every_type_survives(client) -> None:
    inputs = {
        "floats": np.array([0.1, np.nan, np.inf], np.float32),
        "integers": np.array(2**62),
        "text": np.array([[b"a\0", b"\xff"]], dtype=object),
    }
    outputs = client.predict(inputs, signature="echo")
    np.testing.assert_array_equal(outputs["floats"], inputs["floats"])
    assert outputs["integers"] == 2**62
    assert outputs["raw_bytes"].tolist() == [[b"a\0", b"\xff"]]


def test_status_and_signatures(client) -> None:
    (status,) = client.status()
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    assert client.signatures()["echo"].inputs == {
        "floats": "DT_FLOAT",
        "integers": "DT_INT64",
        "text": "DT_STRING",
    }


def test_errors_say_what_the_server_says(client, server) -> None:
    with pytest.raises(ClientError, match="the signature expects") as raised:
        client.predict([[1, 2]])
    assert raised.value.code in ("400", "INVALID_ARGUMENT")
    with pytest.raises(InputError, match=r"Did you mean 'echo'\?"):
        client.predict(1, signature="ecko")
    with pytest.raises(InputError, match="takes several inputs by name: "):
        client.predict(1, signature="echo")
    with pytest.raises(InputError, match="`input` must be 'x'"):
        client.predict({"z": 1})
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/affine"
    cases: list[tuple[Any, str]] = [
        ({"version": 9}, "Specific"),
        ({"label": "no"}, "Unrecognized"),
    ]
    for options, message in cases:
        with (
            Client(url, retries=NO_RETRIES, **options) as other,
            pytest.raises(ClientError, match=message),
        ):
            other.predict([[1, 2, 3]])


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("localhost:8501", {}, "`url` must be like http://localhost:8501"),
        ("grpc://localhost:8500", {}, "Name the model"),
        ("http://localhost:8501/other/path", {}, "`url` must be like"),
        ("http://[", {}, "`url` must be like"),
        ("http://h/v1/models/m", {"version": 1, "label": "x"}, "not both"),
    ],
)
def test_wrong_addresses(url, options, message) -> None:
    with pytest.raises(InputError, match=message):
        Client(url, **options)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_not_there(scheme) -> None:
    with Client(f"{scheme}://127.0.0.1:9", model="m", retries=NO_RETRIES) as client:
        with pytest.raises(TemporaryError) as raised:
            client.status()
        assert raised.value.code in ("UNREACHABLE", "UNAVAILABLE")


def test_temporary_errors_are_tried_again_and_others_are_not() -> None:
    statuses = [503, 429, 200, 400]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.pop(0))
            self.end_headers()
            self.wfile.write(b'{"model_version_status": []}')

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as fake:
        threading.Thread(target=fake.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{fake.server_port}"
        with Client(url, model="m", retries=Retries(count=3, seconds=0.001)) as client:
            assert client.status() == []
            assert statuses == [400]
            with pytest.raises(ClientError, match="HTTP status 400"):
                client.status()
        fake.shutdown()
    assert statuses == []


def test_images_choose_the_signature_by_their_kind(tmp_path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"png")
    signature, batch = _batch([file, str(file), b"jpeg"])
    assert (signature, batch.tolist()) == ("serving_bytes", [b"png", b"png", b"jpeg"])
    assert _batch([np.zeros((2, 2, 3), np.uint8)])[0] == "serving_uint8"
    assert _batch([np.zeros((2, 2, 3))])[0] == "serving_default"
    with pytest.raises(InputError, match="not mixed"):
        _batch([file, np.zeros((2, 2, 3))])
    with pytest.raises(InputError, match="Cannot read the image"):
        _batch([tmp_path / "missing.png"])
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(InputError, match="it is no file"):
            _batch([tmp_path / name])
    with (tmp_path / "large.png").open("wb") as large:
        large.truncate(2**28)
    with pytest.raises(InputError, match="it is over 134,217,728 bytes"):
        _batch([tmp_path / "large.png"])


def test_probabilities_keep_their_short_decimals() -> None:
    prediction = _prediction(b"cat", np.int64(1), np.array([0.9, 0.1], np.float32))
    assert (prediction.name, prediction.label, prediction.probability) == ("cat", 1, 0.1)
    assert prediction.probabilities == (0.9, 0.1)


def test_the_rest_client_does_without_tensorflow() -> None:
    code = "import sys, serving; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_server_with_one_model_needs_no_name(server, affine_folder) -> None:
    url = f"http://127.0.0.1:{server.rest_port}"
    with Client(url, retries=NO_RETRIES) as client:
        assert client.predict([[0, 0, 0]])["y"].tolist() == [[0.5, 0.5, 0.5]]
    two = [ModelConfig("one", affine_folder), ModelConfig("two", affine_folder)]
    with running(two) as other:
        url = f"http://127.0.0.1:{other.rest_port}"
        with pytest.raises(InputError, match=r"Name the model.*Served are: one, two"):
            Client(url)
    with pytest.raises(ClientError, match="does not answer"):
        Client(url, retries=NO_RETRIES)


ANSWERS = [b"<html>", b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 5000, b"{}"]
ANSWERS += [b'{"metadata": 1, "models": 1, "model_version_status": 1, "outputs": 1}']
ANSWERS += [b'{"metadata": {"signature_def": {"signature_def": [1]}}, "models": [{}]}']
ANSWERS += [b'{"models": [1], "model_version_status": [1], "outputs": {"y": [[1], 2]}}']
ANSWERS += [b'{"model_version_status": [[1, 2, 3]], "outputs": {"z": 1}}']


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer[:30])
def test_whatever_else_answers_is_an_error_of_ours(answer: bytes) -> None:
    class Other(LikeTensorFlowServing):
        body, status = answer, 200
        do_POST = LikeTensorFlowServing.do_GET  # noqa: N815

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as started:
        threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{started.server_port}"
        with Client(url, model="m", retries=NO_RETRIES) as client:
            info = SignatureInfo({"x": "DT_FLOAT"}, {"y": "DT_FLOAT", "w": "DT_STRING"})
            calls = [
                client.signatures,
                client.status,
                lambda: client._connection.predict("s", info, {"x": np.zeros(1, np.float32)}),
                lambda: Client(url, retries=NO_RETRIES),
            ]
            for call in calls:
                with pytest.raises(ClientError, match="not as a model server does") as raised:
                    call()
                assert raised.value.code == "UNREADABLE"
        started.shutdown()


def test_what_the_client_cannot_do_with_a_model_is_said(client) -> None:
    client._signatures = {
        "serving_bytes": SignatureInfo({"x": "DT_COMPLEX64"}, {}),
        "serving_uint8": SignatureInfo({"floats": "DT_UINT8"}, {}),
    }
    client._connection, connection = NoOutputs(), client._connection
    with pytest.raises(InputError, match="cannot send the input x, a DT_COMPLEX64"):
        client.predict_images([b"png"])
    with pytest.raises(InputError, match="serving_uint8 has no class_names and no probabilities"):
        client.predict_images([np.zeros((2, 2, 3), np.uint8)])
    client._connection, client._signatures = connection, None


class NoOutputs:
    """Stands for a server whose model is another one."""

    def predict(self, *_: object) -> dict[str, Any]:
        return {"classes": np.zeros(1)}


class LikeTensorFlowServing(http.server.BaseHTTPRequestHandler):
    """Answers as TensorFlow Serving does where no model is named."""

    body, status = b'{"error": "Missing model name in request."}', 400

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_does_not_list_its_models_needs_a_name() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), LikeTensorFlowServing) as started:
        threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(InputError, match="Name the model, or give its whole URL"):
            Client(f"http://127.0.0.1:{started.server_port}")
        started.shutdown()
