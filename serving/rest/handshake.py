"""TLS handshakes that count as connections.

asyncio makes a server's protocol known only once the handshake is done, so that clients which open
connections and send nothing would be limited by time alone.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol

from lsp_keras.serving.rest.protocol import ConnectionLimits, LimitedProtocol, WaitingConnections


class LimitedHandshake(SSLProtocol):
    """The TLS of a connection; until its handshake is done the server waits for it.

    Args:
        protocol: Protocol that gets the connection after the handshake.
        context: Certificates.
        limits: Bound the time of the handshake, and how many connections there are.
        waiting: Waiting connections, shared by all connections of a server.
    """

    def __init__(
        self,
        protocol: LimitedProtocol,
        context: ssl.SSLContext,
        limits: ConnectionLimits,
        waiting: WaitingConnections,
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            protocol,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for the handshake
            server_side=True,
            ssl_handshake_timeout=limits.header_seconds,  # type: ignore[arg-type]  # any number
            ssl_shutdown_timeout=limits.idle_seconds,
        )
        protocol.handshake = self
        self._connection = protocol
        self._waiting = waiting
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins the handshake, for which another connection may have to make room."""
        self.transport = transport
        full = self._connection.is_full()
        super().connection_made(transport)
        if full and not self._waiting.close_longest():
            transport.abort()
            return
        self._waiting.add(self, handshake=True)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forgets it."""
        self._waiting.discard(self)
        super().connection_lost(exc)
