"""A server process under load, swapped versions, and kill -9."""

import concurrent.futures
import contextlib
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
import psutil
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

pytestmark = pytest.mark.slow
SECONDS = 60
CLIENTS = 64
BODY = json.dumps({"instances": [[1.0, 2.0, 3.0]]})


class Process:
    """`lsp-keras serve` on fixed ports; restarted after it was killed."""

    def __init__(self, base_path: Path) -> None:
        self.base_path = base_path
        self.rest_port, self.grpc_port = free_port(), free_port()
        self.start()

    def start(self) -> None:
        flags = [f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}", "--embedded"]
        command = [sys.executable, "-m", "lsp_keras", "serve", str(self.base_path), *flags]
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

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=10)
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
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[1, 2, 3]])))
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
