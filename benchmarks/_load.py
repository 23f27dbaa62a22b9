"""Clients that keep a server busy, with little cost of their own: asyncio, one process."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

Send = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """What clients measured.

    Attributes:
        rate: Requests per second of all clients.
        latencies: Seconds of each request, sorted.
    """

    rate: float
    latencies: list[float]

    def percentile(self, share: float) -> float:
        """Milliseconds within which that share of the requests was answered."""
        if len(self.latencies) == 1:
            return 1e3 * self.latencies[0]
        cuts = statistics.quantiles(self.latencies, n=1000, method="inclusive")
        return 1e3 * cuts[round(1000 * share) - 1]


async def measure(make_send: Callable[[], Awaitable[Send]], clients: int, seconds: float) -> Load:
    """Load of so many clients, each sending its next request when it has its answer."""
    sends = [await make_send() for _ in range(clients)]
    # Connections, threads and caches are there before the clock starts.
    await asyncio.gather(*(send() for send in sends))
    latencies: list[float] = []
    start = time.perf_counter()

    async def keep_sending(send: Send) -> None:
        while time.perf_counter() - start < seconds:
            sent = time.perf_counter()
            await send()
            latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*(keep_sending(send) for send in sends))
    return Load(len(latencies) / (time.perf_counter() - start), sorted(latencies))


async def http_sender(port: int, path: str, body: bytes) -> Send:
    """Sends one body over a connection of its own.

    A client library costs more than the server does, so the protocol is spoken here.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    message = head.encode() + body

    async def send() -> None:
        writer.write(message)
        header = await reader.readuntil(b"\r\n\r\n")
        length = header.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        answer = await reader.readexactly(int(length))
        if not header.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode())

    return send


async def grpc_sender(channel: grpc.aio.Channel, request: Any) -> Send:
    """Sends one PredictRequest."""
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    message = request.SerializeToString()

    async def send() -> None:
        await call(message)

    return send
