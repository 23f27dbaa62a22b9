"""Requests per second and latency of the embedded server, against a direct call.

The direct call of the SavedModel in one process is the limit. Clients and server share the
machine, so absolute numbers grow where clients have processors of their own.

    python benchmarks/serving.py --seconds 5 --clients 1,8,64
"""

import argparse
import asyncio
import base64
import concurrent.futures
import contextlib
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _load import Load, Send, grpc_sender, http_sender, measure
from _report import print_header

# This script has the name of the package that it measures, which must be found first.
sys.path.remove(str(Path(__file__).resolve().parent))

import grpc
import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from lsp_keras.export import export_model
from lsp_keras.models.resnet18 import resnet18
from lsp_keras.serving.authentication import Token
from lsp_keras.serving.execution.calls import Call, Offload
from lsp_keras.serving.execution.executor import DirectExecutor
from lsp_keras.serving.execution.memory import MemoryBudget
from lsp_keras.serving.execution.workers import Workers
from lsp_keras.serving.models.manager import ModelManager, ModelSpec
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.observability.metrics import Metrics
from lsp_keras.serving.observability.readiness import Readiness
from lsp_keras.serving.observability.requests import Observer
from lsp_keras.serving.rest.app import make_app
from lsp_keras.serving.rest.handlers import RestHandlers, RestOptions
from lsp_keras.serving.services.inference import InferenceService
from lsp_keras.serving.services.management import ManagementService

SIZE = 32
BATCH = 32
ROUNDS = 4


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--width", type=int, default=16, help="of the ResNet-18")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each measurement")
    parser.add_argument("--clients", default="1,8,64", help="numbers of clients")
    parser.add_argument("--parts", default="overhead,shares,images,batches", help="tables to print")
    arguments = parser.parse_args()
    clients = [int(number) for number in arguments.clients.split(",")]
    print_header(Path(__file__))
    with tempfile.TemporaryDirectory() as folder:
        tiny, classifier = Path(folder) / "tiny", Path(folder) / "resnet18"
        export_tiny(tiny)
        export_classifier(classifier, arguments.width)
        if "overhead" in arguments.parts:
            overhead(tiny, arguments.seconds)
        if "shares" in arguments.parts:
            asyncio.run(shares(tiny))
        if "images" in arguments.parts:
            single_images(classifier, clients, arguments.seconds)
        if "batches" in arguments.parts:
            batches(classifier, arguments.seconds)


def export_tiny(folder: Path) -> None:
    """A model that costs nothing, so that the server is what is measured."""
    images = keras.Input((1, 1, 3))
    model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
    export_model(model, folder, class_names=["a", "b"])


def export_classifier(folder: Path, width: int) -> None:
    """ResNet-18 for 32x32 images."""
    channels = (0.5, 0.5, 0.5)
    model = resnet18(10, input_shape=(SIZE, SIZE, 3), width=width, mean=channels, std=channels)
    export_model(model, folder, class_names=[str(number) for number in range(10)])


def overhead(folder: Path, seconds: float) -> None:
    """What a request costs apart from the model, and what of it is the frameworks' own."""
    print("\nA model of one layer (2 classes): the server's own cost\n")
    print_head("request")
    pixels = np.zeros((1, 1, 1, 3), np.float32)
    print_row("direct call", 1, direct_load(folder, {"images": pixels}, 1, seconds))
    for name, started in [("", server(folder)), (", bare frameworks", bare_server())]:
        with started as (rest_port, grpc_port):
            for clients in (1, 8):
                rest = http_factory(rest_port, folder.name, json_body(pixels))
                print_row(f"REST{name}", clients, asyncio.run(measure(rest, clients, seconds)))
                load = grpc_load(grpc_port, folder.name, {"images": pixels}, clients, seconds)
                print_row(f"gRPC{name}", clients, load)


async def shares(folder: Path) -> None:
    """Where a REST request's time goes inside the server, without sockets or clients."""
    metrics, token = Metrics(), Token(None)
    manager = ModelManager()
    manager.configure([ModelConfig(folder.name, folder)])
    workers, budget = Workers(num_threads=2, max_pending=100), MemoryBudget(1 << 30)
    executor, offload = DirectExecutor(workers), Offload(workers)
    inference = InferenceService(manager, executor, offload)
    observer = Observer(metrics, manager.models)
    options = RestOptions()
    management = ManagementService(manager)
    handlers = RestHandlers(inference, management, observer, token, budget, offload, options)
    readiness = Readiness(manager)
    app = make_app(handlers, readiness, metrics, metrics_path=None, token=token, pages=[])

    pixels = np.zeros((1, 1, 1, 3), np.float32)
    body, spec = json_body(pixels), ModelSpec(folder.name)
    path = f"/v1/models/{folder.name}:predict"
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        pass

    async def predict_json() -> None:
        call = Call.within(budget.lease(), options.timeout)
        await inference.predict_json(spec, body, call)

    async def with_thread() -> None:
        with manager.handle(spec) as handle:
            signature = handle.servable.signatures["serving_default"]
            await executor.run(handle, signature, {"images": pixels}, options.timeout)

    async def model_alone() -> None:
        with manager.handle(spec) as handle:
            signature = handle.servable.signatures["serving_default"]
            handle.servable.run(signature, {"images": pixels}, options.timeout)

    print("\n| of one request | p50 ms |\n|---|---|")
    for name, call in [
        ("all after the HTTP parser", lambda: app(dict(scope), receive, send)),
        ("JSON, thread and model", predict_json),
        ("thread and model", with_thread),
        ("model", model_alone),
    ]:
        seconds = [await timed(call) for _ in range(6000)]
        print(f"| {name} | {1e3 * statistics.median(seconds[3000:]):.2f} |")
    gc_start = time.perf_counter()
    gc.collect()
    print(f"| a full garbage collection | {1e3 * (time.perf_counter() - gc_start):.0f} |")
    manager.stop()


async def timed(call: Callable[[], Awaitable[Any]]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    await call()
    return time.perf_counter() - start


def single_images(folder: Path, client_counts: list[int], seconds: float) -> None:
    """One image in each request, in every form, with and without batching."""
    print(f"\nResNet-18, one {SIZE}x{SIZE} image in each request\n")
    print_head("request")
    image = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    floats = image.astype(np.float32) / 255
    file = tf.io.encode_png(image[0]).numpy()
    print_row("direct call", 1, direct_load(folder, {"images": floats}, 1, seconds))
    for flags, name in [([], ""), (batching_flags(folder.parent), ", batching")]:
        with server(folder, *flags) as (rest_port, grpc_port):
            for clients in client_counts:
                for form, body in [("JSON", json_body(floats)), ("PNG", png_body(file))]:
                    rest = http_factory(rest_port, folder.name, body)
                    load = asyncio.run(measure(rest, clients, seconds))
                    print_row(f"REST {form}{name}", clients, load)
                load = grpc_load(grpc_port, folder.name, {"images": floats}, clients, seconds)
                print_row(f"gRPC float32{name}", clients, load)


def batches(folder: Path, seconds: float) -> None:
    """Batches of 32 over gRPC, as a share of the direct call with as many callers."""
    print(f"\nResNet-18, {BATCH} images in each request\n")
    print_head("request")
    images = np.random.default_rng(1).random((BATCH, SIZE, SIZE, 3), dtype=np.float32)
    with server(folder) as (_, grpc_port):
        for callers in (1, 2):
            # Measured in turns, and the best of each counts: other work can only slow them down.
            direct, served = 0.0, 0.0
            for _ in range(ROUNDS):
                load = direct_load(folder, {"images": images}, callers, seconds)
                direct = max(direct, load.rate)
                print_row("direct call", callers, load)
                load = grpc_load(grpc_port, folder.name, {"images": images}, callers, seconds)
                served = max(served, load.rate)
                print_row("gRPC", callers, load)
            print(f"\ngRPC reaches {100 * served / direct:.0f} % of the direct call.\n")


def print_head(first: str) -> None:
    """First lines of a table."""
    print(
        f"| {first} | clients | requests/s | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|---|"
    )


def print_row(name: str, clients: int, load: Load) -> None:
    """One line of a table."""
    p50, p95, p99 = (load.percentile(share) for share in (0.5, 0.95, 0.99))
    print(
        f"| {name} | {clients} | {load.rate:.0f} | {p50:.2f} | {p95:.2f} | {p99:.2f} |", flush=True
    )


def direct_load(folder: Path, inputs: dict[str, Any], callers: int, seconds: float) -> Load:
    """Load of threads that call the SavedModel themselves."""
    servable = Servable(folder / "1")
    signature = servable.signatures["serving_default"]
    servable.run(signature, inputs)
    start = time.perf_counter()

    def keep_calling() -> list[float]:
        latencies = []
        while time.perf_counter() - start < seconds:
            called = time.perf_counter()
            servable.run(signature, inputs)
            latencies.append(time.perf_counter() - called)
        return latencies

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        futures = [pool.submit(keep_calling) for _ in range(callers)]
        latencies = sorted(latency for future in futures for latency in future.result())
    rate = len(latencies) / (time.perf_counter() - start)
    servable.close()
    return Load(rate, latencies)


def grpc_load(port: int, model: str, inputs: dict[str, Any], clients: int, seconds: float) -> Load:
    """Load over gRPC; a channel for each client, as separate programs have."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))

    async def run() -> Load:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        async with contextlib.AsyncExitStack() as stack:

            async def make() -> Send:
                channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options)
                return await grpc_sender(await stack.enter_async_context(channel), request)

            return await measure(make, clients, seconds)

    return asyncio.run(run())


def http_factory(port: int, model: str, body: bytes) -> Callable[[], Awaitable[Send]]:
    """Makes senders for a model."""
    return lambda: http_sender(port, f"/v1/models/{model}:predict", body)


def json_body(images: np.ndarray) -> bytes:
    """Pixels as JSON numbers with six digits, in the row format."""
    rows = images.astype(np.float64).round(6).tolist()
    return json.dumps({"instances": rows}, separators=(",", ":")).encode()


def png_body(file: bytes) -> bytes:
    """An encoded image in base64."""
    encoded = {"b64": base64.b64encode(file).decode()}
    return json.dumps({"signature_name": "serving_bytes", "instances": [encoded]}).encode()


def batching_flags(folder: Path) -> list[str]:
    """Flags for batches of up to 32 that wait at most two milliseconds."""
    file = folder / "batching.config"
    file.write_text(
        f"max_batch_size {{ value: {BATCH} }} batch_timeout_micros {{ value: 2000 }} "
        "max_enqueued_batches { value: 100 } num_batch_threads { value: 2 }"
    )
    return ["--enable_batching", f"--batching_parameters_file={file}"]


def server(folder: Path, *flags: str) -> AbstractContextManager[tuple[int, int]]:
    """`lsp-keras serve` in a process of its own, with its REST and gRPC ports."""
    command = ["-m", "lsp_keras", "serve", str(folder), "--embedded", *flags]
    return process(lambda rest, grpc: [*command, f"--rest_api_port={rest}", f"--port={grpc}"])


def bare_server() -> AbstractContextManager[tuple[int, int]]:
    """`_bare_server.py` likewise."""
    script = Path(__file__).with_name("_bare_server.py")
    return process(lambda rest, grpc: [str(script), str(rest), str(grpc)])


@contextlib.contextmanager
def process(arguments: Callable[[int, int], list[str]]) -> Iterator[tuple[int, int]]:
    """A Python process that serves a REST and a gRPC port, once it answers."""
    ports = free_port(), free_port()
    started = subprocess.Popen([sys.executable, *arguments(*ports)], stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(ports[0], started)
        yield ports
    finally:
        started.terminate()
        started.wait()


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Returns when the server answers; ends the benchmark if it does not start."""
    while process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").close()
            return
        time.sleep(0.2)
    sys.exit("The server did not start.")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
