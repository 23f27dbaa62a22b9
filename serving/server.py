"""The embedded server: models, threads and ports together."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio
from starlette.types import ASGIApp

from lsp_keras.serving.authentication import Token, TokenInterceptor
from lsp_keras.serving.execution.batching import BatchingExecutor
from lsp_keras.serving.execution.calls import Offload
from lsp_keras.serving.execution.executor import DirectExecutor, Executor
from lsp_keras.serving.execution.memory import MemoryBudget
from lsp_keras.serving.execution.workers import Workers
from lsp_keras.serving.grpc.reader import RequestReader
from lsp_keras.serving.grpc.service import (
    HEALTH_NAMES,
    ModelService,
    PredictionService,
    make_server,
)
from lsp_keras.serving.models.manager import ModelManager
from lsp_keras.serving.models.servable import Servable
from lsp_keras.serving.models.served_model import LoadPolicy
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.observability.metrics import MEMORY, PENDING, VERSIONS, Labels, Metrics
from lsp_keras.serving.observability.readiness import Readiness
from lsp_keras.serving.observability.requests import Observer
from lsp_keras.serving.options import LoadOptions, ServerOptions
from lsp_keras.serving.rest.app import make_app
from lsp_keras.serving.rest.handlers import RestHandlers, RestOptions
from lsp_keras.serving.rest.page import page_routes
from lsp_keras.serving.rest.protocol import ConnectionLimits
from lsp_keras.serving.services.inference import InferenceService
from lsp_keras.serving.services.management import ManagementService
from lsp_keras.serving.services.warmup import warm_up
from lsp_keras.serving.transports import GrpcTransport, RestTransport, Transport, bind

logger = logging.getLogger(__name__)


def load_servable(path: Path, options: LoadOptions) -> Servable:
    """A version, loaded and warmed up.

    Raises:
        ServingError: It cannot be loaded, or a warm-up request fails.
    """
    servable = Servable(path, tags=options.tags, config=options.session_config())
    try:
        if options.warmup:
            warm_up(servable, iterations=options.warmup_iterations)
    except BaseException:
        servable.close()
        raise
    return servable


class Server:
    """Serves models over REST and gRPC until it is told to stop.

    Args:
        configs: Models to serve.
        options: Ports, limits and times.

    Example:
        >>> server = Server([ModelConfig("m", Path("models/m"))])  # doctest: +SKIP
        >>> server.load()  # doctest: +SKIP
        >>> server.run()  # doctest: +SKIP
    """

    def __init__(
        self, configs: Sequence[ModelConfig], options: ServerOptions | None = None
    ) -> None:
        self.options = options or ServerOptions()
        self._configs = configs
        self.manager = ModelManager(
            self._load_policy(),
            allow_labels_for_unavailable=self.options.load.allow_labels_for_unavailable,
        )
        self._workers = Workers(self.options.num_threads, self.options.max_pending)
        self._metrics = Metrics()
        self._metrics.add_gauges(self._gauges)
        self._observer = Observer(
            self._metrics, self.manager.models, log_requests=self.options.log_requests
        )
        self._token = Token(self.options.token)
        self._budget = MemoryBudget(self.options.max_memory_bytes)
        self._offload = Offload(self._workers)
        self._inference = InferenceService(self.manager, self._executor(), self._offload)
        self._management = ManagementService(self.manager)
        self._readiness = Readiness(self.manager)
        self._health = health_aio.HealthServicer()
        self._socket: socket.socket | None = None
        self._stop = threading.Event()
        self.started = threading.Event()
        self.grpc_port: int | None = None

    @property
    def rest_port(self) -> int | None:
        """The REST port in use, after `load`."""
        return self._socket.getsockname()[1] if self._socket else None

    def load(self) -> None:
        """Takes the REST port and loads the models; nobody can connect yet.

        Raises:
            ServingError: A model cannot be loaded.
            OSError: The port is taken.
        """
        if self.options.rest_port is not None:
            self._socket = bind(self.options.host, self.options.rest_port)
        try:
            self.manager.configure(self._configs)
        except BaseException:
            self._release()
            raise
        if self.options.poll_seconds > 0:
            self.manager.start_polling(self.options.poll_seconds)

    def run(self) -> None:
        """Serves until `stop`, SIGINT or SIGTERM; call `load` before.

        Raises:
            OSError: The gRPC port is taken.
        """
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Tells the server to finish the requests that run and stop; from any thread."""
        self._stop.set()

    async def _serve(self) -> None:
        self._handle_signals()
        try:
            transports = self._transports()
            for name in HEALTH_NAMES:
                await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
            for transport in transports:
                await transport.start()
            self.started.set()
            await asyncio.to_thread(self._stop.wait)
            await self._drain(transports)
        finally:
            self._stop.set()
            await asyncio.to_thread(self._release)

    async def _drain(self, transports: Sequence[Transport]) -> None:
        logger.info("stopping; requests that run are finished first")
        self._readiness.stopping = True
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(*(each.stop(self.options.drain_seconds) for each in transports))

    def _transports(self) -> list[Transport]:
        transports: list[Transport] = []
        if self.options.grpc_port is not None:
            grpc_transport = self._grpc_transport(self.options.grpc_port)
            self.grpc_port = grpc_transport.port
            transports.append(grpc_transport)
        if self._socket:
            limits = ConnectionLimits(
                self.options.connections(),
                self.options.header_seconds,
                self.options.max_header_bytes,
            )
            transports.append(RestTransport(self._app(), self._socket, self.options.tls, limits))
        return transports

    def _grpc_transport(self, port: int) -> GrpcTransport:
        reader = RequestReader(self._budget, self._offload, self.options.rest_timeout)
        server = make_server(
            PredictionService(self._inference, self._management, reader, self._observer),
            ModelService(self._management, reader, self._observer),
            health=self._health if self.options.health else None,
            max_request_bytes=self.options.max_grpc_bytes,
            max_connections=self.options.connections(),
            handshake_seconds=self.options.header_seconds,
            interceptors=[TokenInterceptor(self._token)] if self.options.token else [],
        )
        tls = self.options.grpc_tls or self.options.tls
        return GrpcTransport(server, f"{self.options.host}:{port}", tls)

    def _app(self) -> ASGIApp:
        options = RestOptions(
            self.options.rest_timeout, self.options.max_request_bytes, self.options.cors
        )
        handlers = RestHandlers(
            self._inference,
            self._management,
            self._observer,
            self._token,
            self._budget,
            self._offload,
            options,
        )
        return make_app(
            handlers,
            self._readiness,
            self._metrics,
            metrics_path=self.options.metrics_path,
            token=self._token,
            pages=page_routes(self.manager, self._token) if self.options.page else [],
        )

    def _executor(self) -> Executor:
        direct = DirectExecutor(self._workers)
        if self.options.batching is None:
            return direct
        return BatchingExecutor(direct, self.options.batching, self._metrics.count_batch)

    def _load_policy(self) -> LoadPolicy:
        load = self.options.load
        return LoadPolicy(
            lambda path: load_servable(path, load), load.max_retries, load.retry_seconds
        )

    def _gauges(self) -> list[tuple[str, Labels, float]]:
        versions = [
            (VERSIONS, (("model_name", name), ("version", str(number))), 1.0)
            for name, numbers in self.manager.models().items()
            for number in numbers
        ]
        pending, memory = float(self._workers.pending), float(self._budget.used)
        return [(PENDING, (), pending), (MEMORY, (), memory), *versions]

    def _handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)

    def _release(self) -> None:
        self._workers.stop()
        self.manager.stop()
        if self._socket:
            self._socket.close()


@contextlib.contextmanager
def running(
    configs: Sequence[ModelConfig], options: ServerOptions | None = None
) -> Iterator[Server]:
    """A server in a thread of this process, for tests and notebooks.

    Example:
        >>> with running([ModelConfig("m", Path("models/m"))]) as server:  # doctest: +SKIP
        ...     requests.get(f"http://localhost:{server.rest_port}/v1/models/m")
    """
    server = Server(configs, options or ServerOptions(rest_port=0, grpc_port=0))
    # Elsewhere than here, for a notebook's own thread is in an event loop already.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(server.load).result()
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    while not server.started.wait(0.05):
        if not thread.is_alive():
            raise RuntimeError("The server did not start.")
    try:
        yield server
    finally:
        server.stop()
        thread.join()
