"""Limits, security and the life of a whole server."""

import asyncio
import concurrent.futures
import contextlib
import datetime
import functools
import http.client
import json
import logging
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from lsp_keras.serving import Client
from lsp_keras.serving.errors import OverloadedError, UnavailableError
from lsp_keras.serving.execution.batching import BatchingOptions
from lsp_keras.serving.execution.workers import Workers
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.observability.requests import JsonFormatter
from lsp_keras.serving.options import LoadOptions, ServerOptions, TLSOptions
from lsp_keras.serving.server import Server, running
from lsp_keras.validation import InputError

ZERO = {"instances": [[0, 0, 0]]}
SLOW = {"signature_name": "slow", "inputs": 2**31 - 1}


def start(folder: Path, **options: Any) -> Any:
    defaults = {"rest_port": 0, "grpc_port": 0, "poll_seconds": 0.02}
    return running([ModelConfig("affine", folder)], ServerOptions(**{**defaults, **options}))


def url(server: Server, path: str = "/v1/models/affine:predict", scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.rest_port}{path}"


def grpc_request() -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "affine"
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((1, 3), np.float32)))
    return message


def serves(server: Server, number: int) -> bool:
    return server.manager.models()["affine"] == [number]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within ten seconds")


def test_large_bodies_and_slow_requests_are_refused(affine_folder) -> None:
    with start(affine_folder, max_request_bytes=1000, rest_timeout=0.3) as server:
        large = requests.post(url(server), data=b" " * 1001, timeout=10)
        assert large.status_code == 413
        assert large.json() == {"error": "The request body is larger than 1000 bytes."}
        bomb = subprocess.run(["gzip"], input=b" " * 10**6, capture_output=True, check=True)
        headers = {"Content-Encoding": "gzip"}
        inflated = requests.post(url(server), data=bomb.stdout, headers=headers, timeout=10)
        assert inflated.status_code in (400, 413)
        assert "larger than 1000 bytes" in inflated.json()["error"]
        slow = requests.post(url(server), json=SLOW, timeout=10)
        assert (slow.status_code, slow.json()) == (504, {"error": "Timed out."})
        wait_until(lambda: not server._workers.pending)


def open_post(server: Server, length: int, sent: bytes) -> socket.socket:
    """A prediction whose body is not all there."""
    connection = socket.create_connection(("127.0.0.1", server.rest_port), timeout=20)
    head = f"POST /v1/models/affine:predict HTTP/1.1\r\ncontent-length: {length}\r\n\r\n"
    connection.sendall(head.encode() + sent)
    return connection


def status_of(connection: socket.socket) -> int:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def test_a_body_that_does_not_end_is_given_up(affine_folder) -> None:
    with start(affine_folder, rest_timeout=0.5) as server:
        connection = open_post(server, 100, b'{"instances": [')
        assert status_of(connection) == 504
        trickling = open_post(server, 100, b"")
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                trickling.sendall(b" ")
            time.sleep(0.02)
        assert status_of(trickling) == 504
        assert server._budget.used == 0


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(affine_folder) -> None:
    with start(affine_folder, max_request_bytes=1000) as server:
        assert status_of(open_post(server, 1001, b"")) == 413
        assert status_of(open_post(server, 10**30, b"")) in (400, 413)


def test_bodies_share_one_budget_of_memory(affine_folder) -> None:
    with start(affine_folder, max_memory_bytes=2 << 20, rest_timeout=20.0) as server:
        first = open_post(server, 2_000_000, b" " * 1_900_000)
        wait_until(lambda: server._budget.used == 1_900_000)
        assert status_of(open_post(server, 1_000_000, b" " * 900_000)) == 503
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            message = grpc_request()
            message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((100_000, 3), np.float32)))
            with pytest.raises(grpc.RpcError) as raised:
                stub.Predict(message, timeout=10)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # Small requests have room.
        assert requests.post(url(server), json=ZERO, timeout=10).ok
        first.close()
        wait_until(lambda: server._budget.used == 0)
        # Too much for the budget by itself: the answer says that another time will not help.
        dense = b'{"instances": [' + b"[]," * 60_000 + b"[]]}"
        answer = requests.post(url(server), data=dense, timeout=10)
        assert answer.status_code == 413
        assert "more memory than requests may" in answer.json()["error"]


def test_an_overloaded_server_says_so(affine_folder) -> None:
    options = {"num_threads": 1, "max_pending": 1, "rest_timeout": 2.0}
    with (
        start(affine_folder, **options) as server,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        busy = pool.submit(requests.post, url(server), json=SLOW, timeout=10)
        wait_until(lambda: server._workers.pending == 1)
        refused = requests.post(url(server), json=ZERO, timeout=10)
        assert refused.status_code == 503
        assert "overloaded" in refused.json()["error"]
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as raised:
                stub.Predict(grpc_request(), timeout=10)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert busy.result().status_code == 504


def test_workers_release_what_was_refused() -> None:
    async def scenario() -> list[str]:
        workers, released = Workers(1, 1), []
        gate = threading.Event()
        running_one = asyncio.ensure_future(
            workers.run(None, lambda: released.append("first"), gate.wait)
        )
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="1 requests are waiting"):
            await workers.run(None, lambda: released.append("second"), gate.wait)
        gate.set()
        await running_one
        await asyncio.sleep(0)
        workers.stop()
        return released

    assert asyncio.run(scenario()) == ["second", "first"]


def test_stopping_finishes_requests_that_run(affine_folder) -> None:
    server = Server(
        [ModelConfig("affine", affine_folder)],
        ServerOptions(rest_port=0, grpc_port=0, rest_timeout=1.0),
    )
    server.load()
    thread = threading.Thread(target=server.run)
    thread.start()
    server.started.wait()
    address, port = url(server), server.rest_port
    with concurrent.futures.ThreadPoolExecutor() as pool:
        body = {"signature_name": "slow", "inputs": 300_000}
        answer = pool.submit(requests.post, address, json=body, timeout=20)
        wait_until(lambda: server._workers.pending == 1)
        server.stop()
        assert answer.result().json() in ({"outputs": 300_000}, {"error": "Timed out."})
        assert answer.result().status_code in (200, 504)
    thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_token_is_asked_for_everywhere_but_on_health(affine_folder) -> None:
    with start(affine_folder, token="secret") as server:
        for path in ("/v1/models/affine", "/monitoring/prometheus/metrics"):
            assert requests.get(url(server, path), timeout=10).status_code == 401
            headers = {"Authorization": "Bearer wrong"}
            assert requests.get(url(server, path), headers=headers, timeout=10).status_code == 401
            headers = {"Authorization": "Bearer secret"}
            assert requests.get(url(server, path), headers=headers, timeout=10).ok
        for path in ("/livez", "/readyz"):
            assert requests.get(url(server, path), timeout=10).text == "ok\n"
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as raised:
                stub.Predict(grpc_request(), timeout=10)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
            metadata = [("authorization", "Bearer secret")]
            assert stub.Predict(grpc_request(), timeout=10, metadata=metadata).outputs
            health = health_pb2_grpc.HealthStub(channel)
            assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl, which is not installed")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    names = ["subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return key, certificate


def test_tls_for_rest_and_grpc(affine_folder, certificate, monkeypatch) -> None:
    key, chain = certificate
    tls = TLSOptions(key.read_bytes(), chain.read_bytes())
    with start(affine_folder, tls=tls) as server:
        answer = requests.post(url(server, scheme="https"), json=ZERO, verify=chain, timeout=10)
        assert answer.json() == {"predictions": [[0.5, 0.5, 0.5]]}
        with pytest.raises(requests.ConnectionError):
            requests.post(url(server), json=ZERO, timeout=10)
        credentials = grpc.ssl_channel_credentials(chain.read_bytes())
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(grpc_request(), timeout=10).outputs
        ports = {"https": server.rest_port, "grpcs": server.grpc_port}
        # Other authorities that the machine trusts do not replace the ones that are named.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
        for scheme, port in ports.items():
            address = f"{scheme}://localhost:{port}"
            with Client(address, model="affine", certificates=chain) as client:
                np.testing.assert_array_equal(client.predict([[0, 0, 0]])["y"], [[0.5, 0.5, 0.5]])


def test_a_tls_handshake_must_come_to_an_end(affine_folder, certificate) -> None:
    key, chain = certificate
    tls = TLSOptions(key.read_bytes(), chain.read_bytes())
    with start(affine_folder, tls=tls, header_seconds=0.5) as server:
        for port in (server.rest_port, server.grpc_port):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            connection.sendall(b"\x16\x03\x01")
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
        answer = requests.post(url(server, scheme="https"), json=ZERO, verify=chain, timeout=10)
        assert answer.ok


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(4096) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_tls_handshakes_are_bounded_in_number(affine_folder, certificate, sent) -> None:
    key, chain = certificate
    tls = TLSOptions(key.read_bytes(), chain.read_bytes())
    with start(affine_folder, tls=tls, max_connections=4, header_seconds=600.0) as server:
        opened = []
        for port in (server.rest_port, server.grpc_port):
            for _ in range(20):
                opened.append(socket.create_connection(("127.0.0.1", port), timeout=20))
                with contextlib.suppress(ConnectionError):
                    opened[-1].sendall(sent)
            wait_until(lambda: sum(not is_closed(client) for client in opened) <= 4)
            if port == server.rest_port:
                # The silent ones that wait for longest give way, over and over.
                for _ in range(6):
                    answer = requests.post(
                        url(server, scheme="https"), json=ZERO, verify=chain, timeout=10
                    )
                    assert answer.ok
                assert sum(not is_closed(client) for client in opened) <= 4
            for client in opened:
                client.close()
            opened.clear()


def test_cors_by_option(affine_folder) -> None:
    with start(affine_folder, cors=True) as server:
        origin = {"Origin": "http://localhost:3000"}
        preflight = requests.options(url(server), headers=origin, timeout=10)
        assert preflight.status_code == 200
        answer = requests.post(url(server), json=ZERO, timeout=10)
        for headers in (preflight.headers, answer.headers):
            assert headers["access-control-allow-origin"] == "*"


def test_versions_are_swapped_without_a_failed_request(affine_folder, tmp_path) -> None:
    base = tmp_path / "affine"
    shutil.copytree(affine_folder, base)
    with start(base) as server, concurrent.futures.ThreadPoolExecutor() as pool:
        stop = threading.Event()

        def ask() -> set[int]:
            with requests.Session() as session:
                statuses = set()
                while not stop.is_set():
                    statuses.add(session.post(url(server), json=ZERO, timeout=10).status_code)
                return statuses

        asking = [pool.submit(ask) for _ in range(4)]
        for number in (2, 3):
            shutil.copytree(base / "1", base / f".{number}")
            (base / f".{number}").rename(base / str(number))
            wait_until(functools.partial(serves, server, number))
        shutil.rmtree(base / "3")
        wait_until(functools.partial(serves, server, 2))
        stop.set()
        assert [future.result() for future in asking] == [{200}] * 4
        states = requests.get(url(server, "/v1/models/affine"), timeout=10).json()
        listed = {s["version"]: s["state"] for s in states["model_version_status"]}
        # Version 3 is forgotten with its folder, as soon as no request uses it any more.
        assert listed.pop("3", "END") != "AVAILABLE"
        assert listed.pop("1") in ("UNLOADING", "END")
        assert listed == {"2": "AVAILABLE"}


def test_the_configuration_is_reloaded_over_grpc(affine_folder) -> None:
    with start(affine_folder) as server:
        message = model_management_pb2.ReloadConfigRequest()
        entry = message.config.model_config_list.config.add(name="renamed")
        entry.base_path = str(affine_folder)
        entry.version_labels["stable"] = 1
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            response = stub.HandleReloadConfigRequest(message, timeout=30)
        assert response.status.error_code == 0
        path = "/v1/models/renamed/labels/stable:predict"
        assert requests.post(url(server, path), json=ZERO, timeout=10).ok
        assert requests.post(url(server), json=ZERO, timeout=10).status_code == 404


def test_batched_requests_get_their_own_rows(affine_folder) -> None:
    options = BatchingOptions(max_batch_size=8, batch_timeout=0.01)
    with start(affine_folder, batching=options) as server:

        def ask(number: int) -> list[list[float]]:
            body = {"instances": [[number, 0, 0]] * (number % 3 + 1)}
            return requests.post(url(server), json=body, timeout=10).json()["predictions"]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(60)))
        for number, answer in enumerate(answers):
            assert answer == [[2 * number + 0.5, 0.5, 0.5]] * (number % 3 + 1)
        text = requests.get(url(server, "/monitoring/prometheus/metrics"), timeout=10).text
        (total,) = (
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("lsp_keras_serving_batch_size_sum")
        )
        assert total <= sum(number % 3 + 1 for number in range(60))
        scalar = {"signature_name": "slow", "inputs": 3}
        assert requests.post(url(server), json=scalar, timeout=10).json() == {"outputs": 3}


def test_a_model_that_does_not_load_stops_the_start(tmp_path) -> None:
    (tmp_path / "m/1").mkdir(parents=True)
    server = Server([ModelConfig("m", tmp_path / "m")], ServerOptions(rest_port=0))
    with pytest.raises(UnavailableError, match="Model m did not become available"):
        server.load()


def test_a_taken_port_is_an_error(affine_folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ServerOptions(rest_port=taken.getsockname()[1], grpc_port=None)
        with pytest.raises(OSError, match="in use"):
            Server([ModelConfig("affine", affine_folder)], options).load()


def test_wrong_options_are_refused() -> None:
    with pytest.raises(InputError, match="different ports"):
        ServerOptions(rest_port=8500)
    with pytest.raises(InputError, match="needs a port"):
        ServerOptions(rest_port=None, grpc_port=None)
    with pytest.raises(InputError, match="`max_pending` must be greater than zero"):
        ServerOptions(max_pending=0)
    config = LoadOptions(intra_op_threads=3).session_config()
    assert config.intra_op_parallelism_threads == 3


def test_each_request_is_logged_as_json(affine_folder, caplog) -> None:
    caplog.set_level(logging.INFO, "lsp_keras.serving.requests")
    with start(affine_folder, log_requests=True) as server:
        requests.post(url(server), json=ZERO, timeout=10)
        requests.post(url(server), data="{", timeout=10)
    first, second = (
        json.loads(JsonFormatter().format(record))
        for record in caplog.records
        if record.name == "lsp_keras.serving.requests"
    )
    assert (first["api"], first["model"], first["status"]) == ("predict", "affine", "OK")
    assert (first["entrypoint"], first["request_bytes"]) == ("REST", 26)
    assert second["status"] == "INVALID_ARGUMENT"
    datetime.datetime.strptime(first["time"], "%Y-%m-%dT%H:%M:%S%z")
