"""Ports: uvicorn for REST and grpc.aio for gRPC, started and drained alike."""

import asyncio
import contextlib
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from lsp_keras.serving.options import TLSOptions
from lsp_keras.serving.rest.handshake import LimitedHandshake
from lsp_keras.serving.rest.protocol import ConnectionLimits, LimitedProtocol, WaitingConnections

# Longer than load balancers keep a connection idle, so that they close it, and never send a
# request on one that is being closed here.
_KEEP_ALIVE_SECONDS = 75
# For the last bytes of answers, once no request runs.
_CLOSING_SECONDS = 0.5
_ACCEPTED_AT_ONCE = 32
_WAITING_TO_BE_ACCEPTED = 1024


class Transport(Protocol):
    """A port that answers requests."""

    async def start(self) -> None:
        """Begins to listen."""

    async def stop(self, seconds: float) -> None:
        """Takes no more requests, and finishes those that run within that time."""


class _Requests:
    """The application, counting requests that run."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.running -= 1


class _WebServer(uvicorn.Server):
    """uvicorn with limits on connections, and without its signal handlers.

    The server stops all its transports together.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        bound: socket.socket,
        limits: ConnectionLimits,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._bound = bound
        self._limits = limits
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        waiting = WaitingConnections()

        def make_protocol() -> asyncio.BaseProtocol:
            protocol = LimitedProtocol(
                self._limits,
                waiting,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            if self.config.ssl is None:
                return protocol
            return LimitedHandshake(protocol, self.config.ssl, self._limits, waiting)

        server = await asyncio.get_running_loop().create_server(
            make_protocol,
            sock=self._bound,
            # So many are accepted before the first of them can be refused.
            backlog=_ACCEPTED_AT_ONCE,
        )
        # More may wait in the kernel.
        self._bound.listen(_WAITING_TO_BE_ACCEPTED)
        self.servers = [server]
        self.started = True
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class RestTransport:
    """REST on a socket that is bound already.

    Args:
        app: Application that answers the requests.
        bound: The socket.
        tls: Certificates, if any.
        limits: What each connection may take.
    """

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        tls: TLSOptions | None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._socket = bound
        self._started = asyncio.Event()
        self._requests = _Requests(app)
        self._config = uvicorn.Config(
            self._requests,
            access_log=False,
            log_config=None,
            lifespan="off",
            # Whatever is installed: nothing here speaks it, and its frames have other limits.
            ws="none",
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        if tls:
            with _pem_files(tls) as (key, certificate, authority):
                self._config.ssl_keyfile, self._config.ssl_certfile = key, certificate
                self._config.ssl_ca_certs = authority
                if authority:
                    self._config.ssl_cert_reqs = ssl.CERT_REQUIRED
                self._config.load()
        self._web = _WebServer(self._config, bound, limits or ConnectionLimits(), self._started.set)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to listen."""
        self._serving = asyncio.create_task(self._web.serve([self._socket]))
        await self._started.wait()

    async def stop(self, seconds: float) -> None:
        """Closes the port and waits for the requests that run."""
        self._config.timeout_graceful_shutdown = max(1, round(seconds))
        self._web.should_exit = True
        while self._serving and not self._serving.done():
            await asyncio.wait([self._serving], timeout=_CLOSING_SECONDS)
            # A client that leaves its connection open must not hold up the stop.
            self._web.force_exit = not self._requests.running


class GrpcTransport:
    """gRPC on an address.

    Args:
        server: Server with its services.
        address: Address of the server, `host:port`.
        tls: Certificates, if any.

    Raises:
        OSError: The port is taken.
    """

    def __init__(self, server: grpc.aio.Server, address: str, tls: TLSOptions | None) -> None:
        self._server = server
        try:
            if tls:
                self.port = server.add_secure_port(address, _grpc_credentials(tls))
            else:
                self.port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"Cannot listen on {address} for gRPC.") from error

    async def start(self) -> None:
        """Begins to listen."""
        await self._server.start()

    async def stop(self, seconds: float) -> None:
        """Closes the port and waits for the requests that run."""
        await self._server.stop(seconds)


def bind(host: str, port: int) -> socket.socket:
    """Socket that has the port but does not listen yet.

    Raises:
        OSError: The port is taken, or the host is unknown.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _grpc_credentials(tls: TLSOptions) -> Any:
    return grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)],
        root_certificates=tls.client_authority,
        require_client_auth=tls.client_authority is not None,
    )


@contextlib.contextmanager
def _pem_files(tls: TLSOptions) -> Iterator[tuple[str, str, str | None]]:
    """Files for Python's `ssl`, which reads keys from files only; gone when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate, authority = (Path(folder) / name for name in ("key", "cert", "ca"))
        key.touch(mode=0o600)
        key.write_bytes(tls.key)
        certificate.write_bytes(tls.certificate)
        if tls.client_authority:
            authority.write_bytes(tls.client_authority)
        yield str(key), str(certificate), str(authority) if tls.client_authority else None
