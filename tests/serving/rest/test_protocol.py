"""Clients that are slow, silent, greedy or many, on real sockets."""

import asyncio
import contextlib
import http.client
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from lsp_keras.serving.rest.protocol import ConnectionLimits
from lsp_keras.serving.transports import RestTransport, bind

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE_ANSWER = 64 << 20


class Site:
    """A REST transport in a thread, with an application that answers the size of the body."""

    def __init__(self, **limits: Any) -> None:
        self._bound = bind("127.0.0.1", 0)
        self.port = self._bound.getsockname()[1]
        self._limits = ConnectionLimits(**limits)
        self._started = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(10)

    async def _serve(self) -> None:
        async def echo(request: Request) -> Response:
            try:
                return Response(str(len(await request.body())))
            except ClientDisconnect:
                return Response(status_code=499)

        async def refuse(request: Request) -> Response:
            return Response("no", 413)

        async def large(request: Request) -> Response:
            return Response(bytes(LARGE_ANSWER))

        routes = [
            Route("/", echo, methods=["GET", "POST"]),
            Route("/refuse", refuse, methods=["POST"]),
            Route("/large", large),
        ]
        transport = RestTransport(Starlette(routes=routes), self._bound, None, self._limits)
        self.transport = transport
        await transport.start()
        self._started.set()
        await asyncio.to_thread(self._stop.wait)
        await transport.stop(1.0)

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(sent)
        return connection

    def close(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def site(**limits: Any) -> Iterator[Site]:
    started = Site(**limits)
    try:
        yield started
    finally:
        started.close()


def answer_of(connection: socket.socket) -> bytes:
    """Whatever comes until the other side closes, which must happen in time."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def ask(connection: socket.socket, request: bytes = GET) -> tuple[int, bytes]:
    """Status and body of one answer."""
    connection.sendall(request)
    return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
POST_OFFER = b"POST / HTTP/1.1\r\nhost: x\r\n" + OFFER
LENGTH = b"content-length: 5\r\n\r\n"
CHUNKS = b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nl"
OFFERS = {
    "whole": [POST_OFFER + LENGTH + b"hello"],
    "head and body": [POST_OFFER + LENGTH, b"hel", b"lo"],
    "in the head": [POST_OFFER[:40], POST_OFFER[40:], LENGTH[:-1], LENGTH[-1:] + b"hello"],
    "chunked": [POST_OFFER + CHUNKS, b"lo\r\n0\r\n\r\n"],
    "by HTTP/1.0": [POST_OFFER.replace(b"1.1", b"1.0") + LENGTH + b"hello"],
    "and no more": [POST_OFFER.replace(b"Upgrade,", b"Upgrade, close,") + LENGTH + b"hello"],
}


@pytest.mark.parametrize("pieces", OFFERS.values(), ids=OFFERS)
def test_a_request_that_offers_another_protocol_is_answered_in_this_one(pieces, caplog) -> None:
    with site() as started:
        connection = started.connect()
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        assert read_answer(connection) == (200, b"5")
        if b"close" not in pieces[0] and b"1.0" not in pieces[0]:
            assert ask(connection) == (200, b"0")
    assert caplog.text == ""


def test_offers_and_other_requests_follow_each_other() -> None:
    offer = POST_OFFER + LENGTH + b"hello"
    last = GET.replace(b"host", b"connection: close\r\nhost")
    with site() as started:
        answers = answer_of(started.connect(offer + GET + offer + offer + last))
    assert answers.count(b"HTTP/1.1 200 OK") == 5
    assert [answers.count(body) for body in (b"\r\n\r\n5", b"\r\n\r\n0")] == [3, 2]


def test_the_head_of_an_offer_is_limited_too() -> None:
    with site(max_header_bytes=1000) as started:
        long = POST_OFFER + b"x: " + b"a" * 1000 + b"\r\n\r\n"
        assert b"431" in answer_of(started.connect(long)).splitlines()[0]
        tunnel = b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n"
        assert b"400" in answer_of(started.connect(tunnel)).splitlines()[0]


def test_no_connection_becomes_a_websocket() -> None:
    upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    upgrade += b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with site() as started:
        assert ask(started.connect(), GET.removesuffix(b"\r\n") + upgrade) == (200, b"0")
        # Where no library for them is installed, the answer is this one in any case.
        assert started.transport._config.ws == "none"


HALVES = {
    "silent": b"",
    "half a request line": b"GET /v1/mod",
    "half a head": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ",
    "nothing but ends of lines": b"\r\n\r\n\r\n",
    "a second request, half": GET + b"GET / HT",
}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_a_request_has_so_long_to_arrive(sent: bytes) -> None:
    with site(header_seconds=0.3) as started:
        start = time.monotonic()
        answer_of(started.connect(sent))
        assert 0.2 < time.monotonic() - start < 5


def test_a_trickling_head_gains_no_time() -> None:
    with site(header_seconds=0.5) as started:
        start = time.monotonic()
        connection = started.connect(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            for number in range(200):
                connection.sendall(b"x-%d: 1\r\n" % number)
                time.sleep(0.05)
        assert time.monotonic() - start < 5


def test_between_two_requests_there_is_more_time() -> None:
    with site(header_seconds=0.2) as started:
        connection = started.connect()
        for _ in range(3):
            assert ask(connection) == (200, b"0")
            time.sleep(0.5)


def test_a_slow_body_is_the_handlers_affair() -> None:
    with site(header_seconds=0.2) as started:
        connection = started.connect(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n")
        for letter in b"abc":
            time.sleep(0.2)
            connection.sendall(bytes([letter]))
        assert read_answer(connection) == (200, b"3")


HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
MUCH = b"a" * 200_000
LARGE_HEADS = {
    "a long URL": b"GET /" + MUCH + b" HTTP/1.1\r\n\r\n",
    "one long header": HEAD + b"x: " + MUCH + b"\r\n\r\n",
    "many headers": HEAD + b"x: 1\r\n" * 30_000 + b"\r\n",
    "a header without end": HEAD + b"x: " + MUCH * 20,
    "a header's name without end": HEAD + MUCH * 20,
    "trailers": CHUNKED + b"1\r\na\r\n0\r\n" + b"x: 1\r\n" * 30_000 + b"\r\n",
    "a trailer without end": CHUNKED + b"1\r\na\r\n0\r\nx: " + MUCH * 20,
    "a chunk's extension without end": CHUNKED + b"1;a=" + MUCH * 20,
}


@pytest.mark.parametrize("sent", LARGE_HEADS.values(), ids=LARGE_HEADS)
def test_a_large_head_is_refused(sent: bytes) -> None:
    with site() as started:
        connection = started.connect()
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        # A reset may take the answer with it while the client is still sending.
        assert answer_of(connection).partition(b"\r\n")[0] in (
            b"HTTP/1.1 431 Request Header Fields Too Large",
            b"",
        )
        assert ask(started.connect()) == (200, b"0")


def test_a_head_up_to_the_limit_is_read() -> None:
    with site(max_header_bytes=1000) as started:
        fitting = b"GET / HTTP/1.1\r\nx: " + b"a" * 990 + b"\r\n\r\n"
        assert ask(started.connect(), fitting) == (200, b"0")
        larger = b"GET / HTTP/1.1\r\nx: " + b"a" * 999 + b"\r\n\r\n"
        assert ask(started.connect(), larger)[0] == 431


def test_a_body_may_be_larger_than_a_head_and_come_in_small_chunks() -> None:
    with site(max_header_bytes=1000) as started:
        body = b"".join(b"%x\r\n%s\r\n" % (size, b"a" * size) for size in [1, 1, 5000, 900, 1])
        connection = started.connect(CHUNKED + body + b"0\r\n\r\n")
        assert read_answer(connection) == (200, b"5903")


def test_broken_requests_are_400() -> None:
    with site() as started:
        for sent in (b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n"):
            assert answer_of(started.connect(sent)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", CHUNKED + b"1\r\na\r\n", GET])
def test_one_more_connection_takes_the_place_of_the_one_that_waits_longest(sent: bytes) -> None:
    with site(max_connections=4) as started:
        waiting = [started.connect(sent) for _ in range(4)]
        time.sleep(0.2)
        newest = started.connect()
        assert ask(newest) == (200, b"0")
        first = answer_of(waiting[0])
        assert first.count(b"HTTP/1.1 200") == (sent == GET)
        # The others are still there.
        for connection in waiting[2:]:
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                while connection.recv(1 << 16):
                    pass


def test_an_answer_before_the_end_of_the_body_arrives_and_ends_the_connection() -> None:
    with site(idle_seconds=0.3) as started:
        head = b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
        connection = started.connect(head + b"a" * 1000)
        start = time.monotonic()
        assert answer_of(connection).startswith(b"HTTP/1.1 413")
        assert 0.2 < time.monotonic() - start < 5
        # A client that sends the rest may go on with another request.
        connection = started.connect(head + b"a" * 500_000)
        assert read_answer(connection) == (413, b"no")
        connection.sendall(b"a" * 500_000)
        time.sleep(0.5)
        assert ask(connection) == (200, b"0")


def test_a_client_that_does_not_read_its_answer_is_left() -> None:
    with site(idle_seconds=0.3) as started:
        connection = started.connect(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(2.0)
        with contextlib.suppress(ConnectionResetError):
            received = 0
            while piece := connection.recv(1 << 20):
                received += len(piece)
        assert received < LARGE_ANSWER


def test_a_client_that_reads_slowly_gets_its_answer() -> None:
    with site(idle_seconds=0.5) as started:
        connection = started.connect(b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
        received = 0
        while piece := connection.recv(4 << 20):
            received += len(piece)
            time.sleep(0.05)
        assert received > LARGE_ANSWER


def test_more_clients_than_file_descriptors_leave_the_server_reachable(caplog) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(list(Path("/proc/self/fd").iterdir())) + 420
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        # Half of the files, for the clients are in this process.
        with site(max_connections=100, header_seconds=30) as started:
            clients = [started.connect(b"GET / HT" if n % 2 else b"") for n in range(150)]
            caplog.set_level(logging.ERROR)
            assert ask(started.connect()) == (200, b"0")
            assert not caplog.records
            for client in clients:
                client.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pipelined_requests_are_answered_in_turn() -> None:
    with site() as started:
        connection = started.connect(GET * 50 + b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        assert answer_of(connection).count(b"HTTP/1.1 200 OK") == 51
