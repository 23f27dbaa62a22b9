"""The embedded server: models, threads and ports together."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from serving.inference import InferenceService
from serving.manager import ModelManager
from serving.rest import RestHandlers
from serving.versions import ModelConfig
from serving.workers import Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """How to serve.

    Attributes:
        host: Address to listen on; loopback unless said otherwise.
        rest_api_port: 0 for any free port.
        rest_api_timeout: Seconds for a request.
        poll_seconds: Between looks for new versions.
        num_threads: Requests that run at once.
        max_pending: Requests that run or wait; more are answered 503.
        drain_seconds: For requests that run when the server stops.
    """

    host: str = "127.0.0.1"
    rest_api_port: int = 8501
    rest_api_timeout: float = 30.0
    poll_seconds: float = 1.0
    num_threads: int = 2 * (os.cpu_count() or 1)
    max_pending: int = 1024
    drain_seconds: float = 30.0


class _WebServer(uvicorn.Server):
    """uvicorn without its signal handlers: the server stops all its transports together."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """Serves models over REST until it is told to stop.

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
        self.manager = ModelManager()
        self._workers = Workers(self.options.num_threads, self.options.max_pending)
        self._socket: socket.socket | None = None
        self._stop = threading.Event()
        self.started = threading.Event()

    @property
    def rest_port(self) -> int:
        """The port in use, after `load`."""
        port: int = self._bound_socket().getsockname()[1]
        return port

    def load(self) -> None:
        """Binds the port and loads the models; nobody can connect yet.

        Raises:
            ServingError: A model cannot be loaded.
            OSError: The port is taken.
        """
        self._socket = _bind(self.options.host, self.options.rest_api_port)
        self.manager.configure(self._configs)
        self.manager.start_polling(self.options.poll_seconds)

    def run(self) -> None:
        """Serves until `stop`, SIGINT or SIGTERM; call `load` before."""
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Tells the server to finish the requests that run and stop; from any thread."""
        self._stop.set()

    async def _serve(self) -> None:
        self._handle_signals()
        web = _WebServer(self._web_config(), self.started.set)
        serving = asyncio.create_task(web.serve([self._bound_socket()]))
        stopping = asyncio.create_task(asyncio.to_thread(self._stop.wait))
        try:
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            web.should_exit = True
            self._stop.set()
        await serving
        await asyncio.to_thread(self._release)

    def _bound_socket(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("Call `load` before.")
        return self._socket

    def _app(self) -> ASGIApp:
        service = InferenceService(self.manager)
        return RestHandlers(service, self._workers, timeout=self.options.rest_api_timeout).app()

    def _web_config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app(),
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=int(self.options.drain_seconds),
        )

    def _handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)

    def _release(self) -> None:
        self._workers.stop()
        self.manager.stop()


def _bind(host: str, port: int) -> socket.socket:
    """Socket that has the port but does not listen yet."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@contextlib.contextmanager
def running(
    configs: Sequence[ModelConfig], options: ServerOptions | None = None
) -> Iterator[Server]:
    """A server in a thread of this process, for tests and notebooks.

    Example:
        >>> with running([ModelConfig("m", Path("models/m"))]) as server:  # doctest: +SKIP
        ...     requests.get(f"http://localhost:{server.rest_port}/v1/models/m")
    """
    server = Server(configs, options or ServerOptions(rest_api_port=0))
    server.load()
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    server.started.wait()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
