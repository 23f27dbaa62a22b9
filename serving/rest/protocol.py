"""HTTP connections with limits that uvicorn does not have.

uvicorn 0.54 bounds the time between two requests, but not the time that a request takes to arrive
(its issues 157 and 160), nor, with httptools, the size of its head; its `limit_concurrency` answers
503 once the head of a request is there, and leaves silent connections open. So a client that opens
connections and sends nothing, or half a request, would hold them for ever.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lsp_keras.serving.rest.parser import PlainParser

_REFUSALS = {
    400: "400 Bad Request",
    431: "431 Request Header Fields Too Large",
    503: "503 Service Unavailable",
}


@dataclass(frozen=True)
class ConnectionLimits:
    """What a connection may take before a handler sees its request.

    Attributes:
        max_connections: Connections at once; for one more, the one that has kept the server
            waiting for longest is closed.
        header_seconds: Seconds from the first byte of a request, or the opening of its connection,
            to the end of its head; and for a TLS handshake.
        max_header_bytes: Most bytes of a head, and of anything between the pieces of a body.
        idle_seconds: Seconds for a client that neither reads its answer nor sends the rest of a
            request that has been answered.
    """

    max_connections: int = 1000
    header_seconds: float = 10.0
    max_header_bytes: int = 64 * 1024
    idle_seconds: float = 10.0


class Connection(Protocol):
    """What can be waited for, and closed."""

    transport: Any


class WaitingConnections:
    """Connections that the server waits for, the longest first."""

    def __init__(self) -> None:
        self._waiting: dict[Connection, None] = {}
        self._handshakes: set[Connection] = set()

    @property
    def num_handshakes(self) -> int:
        """Connections whose TLS handshake is not done, which uvicorn does not know yet."""
        return len(self._handshakes)

    def add(self, connection: Connection, *, handshake: bool = False) -> None:
        """The server waits for it from now on, and perhaps for its TLS handshake first."""
        self._waiting[connection] = None
        if handshake:
            self._handshakes.add(connection)

    def discard(self, connection: Connection) -> None:
        """The server does not wait for it any more."""
        self._waiting.pop(connection, None)
        self._handshakes.discard(connection)

    def close_longest(self) -> bool:
        """Makes room for another one; returns whether there was one to close."""
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        longest.transport.abort()
        self.discard(longest)
        return True


class LimitedProtocol(HttpToolsProtocol):
    """A connection of uvicorn's, closed when it exceeds a limit.

    Args:
        limits: The limits.
        waiting: Waiting connections, shared by all connections of a server.
        arguments: Arguments of uvicorn's own protocol.

    Attributes:
        handshake: TLS handshake of the connection, if there is one.
    """

    parser: PlainParser  # type: ignore[assignment]  # it has what uvicorn asks for

    def __init__(
        self, limits: ConnectionLimits, waiting: WaitingConnections, **arguments: Any
    ) -> None:
        super().__init__(**arguments)
        self.parser = PlainParser(self)
        self._limits = limits
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._receiving = False
        self._in_head = False
        self._head_bytes = 0
        self._stray_bytes = 0
        self._refusal = 400
        self.handshake: Connection | None = None

    def is_full(self) -> bool:
        """Whether there are as many connections as there may be."""
        number = len(self.connections) + self._waiting.num_handshakes
        return number >= self._limits.max_connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self.handshake:
            # Its place becomes this connection's.
            self._waiting.discard(self.handshake)
        full = self.is_full()
        super().connection_made(transport)
        if full and not self._waiting.close_longest():
            self._refusal = 503
            self.send_400_response("Too many connections.")
            return
        self._waiting.add(self)
        self._start_timer(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.discard(self)
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Set to zero by whatever part of a request ends within the data.
        self._stray_bytes += len(data)
        super().data_received(data)
        if self._stray_bytes > self._limits.max_header_bytes:
            self._refusal = 431
            self.send_400_response("The head of the request is too large.")
        if self._timer is None and self._awaits_head():
            self._start_timer(self._limits.header_seconds)

    def _awaits_head(self) -> bool:
        answered = self.cycle is None or self.cycle.response_complete
        return answered and (self._in_head or not self._receiving)

    def on_message_begin(self) -> None:
        self._receiving = self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers, after the body, come here too. The separator and the end of the line count.
        self._count_head(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.max_header_bytes:
            self._refusal = 431
            # The parser stops, and uvicorn answers what `send_400_response` says.
            raise ValueError("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        if self.parser.offers_protocol():
            return
        self._in_head = False
        self._stray_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._stray_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.offers_protocol():
            return
        self._receiving = False
        self._stray_bytes = 0
        self._waiting.discard(self)
        super().on_message_complete()
        if self.cycle.response_complete:
            # The rest of a body that was refused has come after all.
            self._stop_timer()
            self._waiting.add(self)
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        self._waiting.add(self)
        if self._in_head:
            self._start_timer(self._limits.header_seconds)
        elif self._receiving:
            # Closing at once would take the answer from a client that is still sending.
            self._unset_keepalive_if_required()
            self._start_timer(self._limits.idle_seconds)

    def send_400_response(self, msg: str) -> None:
        if self.transport.is_closing():
            return
        status = _REFUSALS[self._refusal]
        self.transport.write(
            f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(msg)}\r\nconnection: close\r\n\r\n{msg}".encode()
        )
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size() + 1)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def _watch_writing(self, before: int) -> None:
        """Ends the connection unless its client reads; called again while it does."""
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
            return
        self._write_timer = self.loop.call_later(
            self._limits.idle_seconds, self._watch_writing, left
        )

    def _stop_write_timer(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
