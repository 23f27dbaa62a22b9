"""Reads the messages of gRPC requests.

They come as bytes, since gRPC itself would parse them on the event loop whatever they hold.
"""

import asyncio
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from lsp_keras.serving.codecs.wire import wire_cost
from lsp_keras.serving.errors import DeadlineExceededError, InvalidArgumentError
from lsp_keras.serving.execution.calls import SMALL_BYTES, Call, Offload
from lsp_keras.serving.execution.memory import Lease, MemoryBudget


class RequestReader:
    """Parses messages within the memory budget, large ones off the event loop.

    Args:
        budget: Memory for all requests.
        offload: Where large messages are parsed.
        receive_seconds: Time for a message to arrive.
    """

    def __init__(
        self, budget: MemoryBudget, offload: Offload, receive_seconds: float = 30.0
    ) -> None:
        self._budget = budget
        self._offload = offload
        self._receive_seconds = receive_seconds

    def lease(self) -> Lease:
        """Memory for one request."""
        return self._budget.lease()

    async def receive(self, context: Any) -> bytes:
        """The bytes of a request's message.

        Raises:
            InvalidArgumentError: The client sends none.
            DeadlineExceededError: It did not arrive in time.
        """
        try:
            async with asyncio.timeout(self._receive_seconds):
                data = await context.read()
        except TimeoutError:
            raise DeadlineExceededError("The message did not arrive in time.") from None
        if data is grpc.aio.EOF:
            raise InvalidArgumentError("The call has no message.")
        return bytes(data)

    async def read(self, message_class: Any, data: bytes, call: Call) -> Any:
        """The message.

        Args:
            message_class: Class of the message.
            data: Bytes of the message, as they were sent.
            call: Call that the message belongs to.

        Raises:
            ServingError: It is none, or would take more memory than there is.
        """

        def parse() -> Any:
            if len(data) > SMALL_BYTES:
                call.lease.grow(wire_cost(data, message_class.DESCRIPTOR))
            try:
                return message_class.FromString(data)
            except DecodeError:
                raise InvalidArgumentError("The message cannot be parsed.") from None

        call.size = len(data)
        call.lease.grow(len(data))
        return await self._offload.run(call, call.size, parse)
