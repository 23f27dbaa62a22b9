"""A server process under load, swapped versions, and kill -9."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import orjson
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

pytestmark = pytest.mark.slow
SECONDS = 60
CLIENTS = 64
BODY = json.dumps({"instances": [[1.0, 2.0, 3.0]]})


class Process:
    """`lsp-keras serve` on fixed ports; restarted after it was killed.

    Args:
        base_path: Of the model.
        num_files: That the process may open, if not as many as this one.
    """

    def __init__(self, base_path: Path, num_files: int | None = None) -> None:
        self.base_path = base_path
        self.num_files = num_files
        self.rest_port, self.grpc_port = free_port(), free_port()
        self.start()

    def start(self) -> None:
        flags = [f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}", "--embedded"]
        command = [sys.executable, "-m", "lsp_keras", "serve", str(self.base_path), *flags]
        if self.num_files:
            command = ["sh", "-c", f'ulimit -n {self.num_files} && exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(1200):
            with contextlib.suppress(OSError):
                if self.get("/readyz")[0] == 200:
                    return
            assert self.process.poll() is None, "the server has ended"
            time.sleep(0.1)
        pytest.fail("the server is not ready after two minutes")

    def get(self, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def available(self) -> list[str]:
        document = json.loads(self.get(f"/v1/models/{self.base_path.name}")[1])
        states = document["model_version_status"]
        return [state["version"] for state in states if state["state"] == "AVAILABLE"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def served(affine_folder, tmp_path) -> Iterator[Process]:
    base = tmp_path / "affine"
    shutil.copytree(affine_folder, base)
    process = Process(base)
    yield process
    process.kill()


def ask_rest(port: int, stop: threading.Event) -> Counter[object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    seen: Counter[object] = Counter()
    while not stop.is_set():
        connection.request("POST", "/v1/models/affine:predict", BODY)
        answer = connection.getresponse()
        seen[answer.status, answer.read()] += 1
    connection.close()
    return seen


def ask_grpc(port: int, stop: threading.Event) -> Counter[object]:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "affine"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([[1, 2, 3]], np.float32)))
    seen: Counter[object] = Counter()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        while not stop.is_set():
            response = stub.Predict(request, timeout=60)
            seen[tuple(response.outputs["y"].float_val)] += 1
    return seen


def swap_versions(base: Path, stop: threading.Event) -> int:
    """A new version every second or so, and at most two at once; returns the last one."""
    number = 1
    while not stop.wait(1.0):
        number += 1
        shutil.copytree(base / str(number - 1), base / f".{number}")
        (base / f".{number}").rename(base / str(number))
        if number > 2:
            shutil.rmtree(base / str(number - 2))
    return number


def test_no_request_fails_while_versions_are_swapped_under_load(served) -> None:
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as pool:
        rest = [pool.submit(ask_rest, served.rest_port, stop) for _ in range(CLIENTS // 2)]
        rpc = [pool.submit(ask_grpc, served.grpc_port, stop) for _ in range(CLIENTS // 2)]
        swapped = pool.submit(swap_versions, served.base_path, stop)
        time.sleep(SECONDS)
        stop.set()
        answers = sum((future.result() for future in rest), Counter())
        messages = sum((future.result() for future in rpc), Counter())
        last = swapped.result()
    assert list(answers) == [(200, b'{"predictions":[[2.5,4.5,6.5]]}')]
    assert list(messages) == [(2.5, 4.5, 6.5)]
    assert last > 10
    print(f"{answers.total()} REST and {messages.total()} gRPC requests, {last} versions")


def test_memory_stays_flat_over_50000_requests(served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.rest_port, timeout=60)
    server = psutil.Process(served.process.pid)
    resident = []
    for number in range(50_001):
        # Every tenth is refused, for errors must not pile up either.
        body = BODY if number % 10 else '{"instances": [[1, "a"]]}'
        connection.request("POST", "/v1/models/affine:predict", body)
        connection.getresponse().read()
        if number in (10_000, 50_000):
            resident.append(server.memory_info().rss)
    connection.close()
    first, last = resident
    assert last - first < 8 * 2**20, f"{first} bytes after 10,000 requests, then {last}"


def test_killed_and_started_again_it_serves_what_is_complete(served, affine_folder) -> None:
    version = served.base_path / ".deadbeef.2"
    # A writer that was killed in between leaves a folder under a temporary name.
    shutil.copytree(affine_folder / "1", version)
    (version / "saved_model.pb").write_bytes(b"cut short")
    served.kill()
    with pytest.raises(OSError, match="refused"):
        served.get("/readyz")
    served.start()
    assert served.available() == ["1"]
    assert version.exists()


# What a client sends before it falls silent, to REST.
SILENT = [
    b"",
    b"GET / HT",
    b"GET /livez HTTP/1.1\r\nhost: x\r\nx-header: ",
    b"POST /v1/models/affine:predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{",
    b"POST /v1/models/affine:predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
]


def keep_half_open(rest_port: int, grpc_port: int, stop: threading.Event) -> int:
    """Holds six hundred connections that send half a request, and opens those again that end."""
    opened: list[socket.socket] = []
    made = 0
    while not stop.is_set():
        port = rest_port if made % 4 else grpc_port
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port), timeout=1)
            connection.sendall(SILENT[made % len(SILENT)])
            opened.append(connection)
        made += 1
        if len(opened) > 600:
            opened.pop(0).close()
        # A burst at first, then a steady stream.
        stop.wait(0.0 if made < 600 else 0.02)
    for connection in opened:
        connection.close()
    return made


# Just within the budget of memory, and of the wrong type.
MANY_LISTS = 5_000_000


def dense_body(num_lists: int) -> bytes:
    """Three bytes for each list."""
    return b'{"instances": [' + b"[]," * (num_lists - 1) + b"[]]}"


def overreach(port: int, grpc_port: int, stop: threading.Event) -> Counter[object]:
    """Small requests for much memory, and large ones, one after the other."""
    bodies = [
        (gzip.compress(dense_body(30_000_000)), {"Content-Encoding": "gzip"}),
        (dense_body(30_000_000), {}),
        (dense_body(MANY_LISTS), {}),
    ]
    claim = predict_pb2.PredictRequest()
    claim.model_spec.name, claim.model_spec.signature_name = "affine", "positive"
    claim.inputs["x"].CopyFrom(tf.make_tensor_proto(1.0, shape=[100_000_000]))
    seen: Counter[object] = Counter()
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        while not stop.is_set():
            body, headers = bodies[seen.total() // 2 % len(bodies)]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            with contextlib.closing(connection), contextlib.suppress(ConnectionError):
                connection.request("POST", "/v1/models/affine:predict", body, headers)
                seen[connection.getresponse().status] += 1
            try:
                stub.Predict(claim, timeout=60)
            except grpc.RpcError as error:
                seen[error.code().name] += 1
    return seen


def ask_patiently(port: int, stop: threading.Event) -> Counter[object]:
    """As a usual client: a connection that was closed between two requests is opened again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    seen: Counter[object] = Counter()
    while not stop.is_set():
        for attempts_left in (2, 1, 0):
            try:
                connection.request("POST", "/v1/models/affine:predict", BODY)
                answer = connection.getresponse()
                seen[answer.status, answer.read()] += 1
                break
            except (ConnectionError, http.client.HTTPException):
                connection.close()
                assert attempts_left, "three connections were closed without an answer"
    connection.close()
    return seen


def time_livez(served: Process, stop: threading.Event) -> list[float]:
    """Seconds that each of many questions for life took, its connection included."""
    seconds = []
    while not stop.wait(0.1):
        start = time.monotonic()
        assert served.get("/livez", timeout=60.0)[0] == 200
        seconds.append(time.monotonic() - start)
    return seconds


def test_slow_and_greedy_clients_leave_the_others_served(affine_folder, tmp_path) -> None:
    shutil.copytree(affine_folder, tmp_path / "affine")
    served = Process(tmp_path / "affine", num_files=512)
    before = psutil.Process(served.process.pid).memory_info().rss
    # No other thread runs while the largest body that is accepted is parsed, here as there.
    start = time.monotonic()
    orjson.loads(dense_body(MANY_LISTS))
    longest_parse = time.monotonic() - start
    stop = threading.Event()
    try:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            half_open = pool.submit(keep_half_open, served.rest_port, served.grpc_port, stop)
            greedy = pool.submit(overreach, served.rest_port, served.grpc_port, stop)
            rest = [pool.submit(ask_patiently, served.rest_port, stop) for _ in range(8)]
            alive = pool.submit(time_livez, served, stop)
            time.sleep(SECONDS / 2)
            grown = psutil.Process(served.process.pid).memory_info().rss - before
            stop.set()
            answers = sum((future.result() for future in rest), Counter())
            refused, seconds, made = greedy.result(), alive.result(), half_open.result()
    finally:
        served.kill()
    assert list(answers) == [(200, b'{"predictions":[[2.5,4.5,6.5]]}')]
    assert set(refused) <= {400, 413, 503, "INVALID_ARGUMENT"}
    assert made > 600
    assert max(seconds) < max(3.0, 4 * longest_parse)
    assert grown < 1 << 30
    print(
        f"{answers.total()} requests beside {made} half-open ones; /livez took "
        f"{max(seconds):.2f} s at most, {sorted(seconds)[len(seconds) // 2]:.3f} s mostly, and a "
        f"parse {longest_parse:.2f} s; "
        f"{grown >> 20} MB more; {dict(refused)}"
    )
