"""What a request may use, and where the work on it is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lsp_keras.serving.errors import DeadlineExceededError
from lsp_keras.serving.execution.memory import Lease, MemoryBudget
from lsp_keras.serving.execution.workers import Workers

Result = TypeVar("Result")
# Up to this size, work is done on the event loop, for a thread would cost more.
SMALL_BYTES = 32 * 1024


@dataclass
class Call:
    """A request on its way through the server.

    Attributes:
        lease: Part of the memory budget that the call holds.
        deadline: When its time is up, on the monotonic clock; `None`: never.
        size: Bytes that the client sent, after they were inflated.
        is_own: Whether it is the server's own, such as warm-up, and no client's.
    """

    lease: Lease
    deadline: float | None = None
    size: int = 0
    is_own: bool = False

    @classmethod
    def within(cls, lease: Lease, seconds: float | None) -> "Call":
        """A call that starts now and has that many seconds."""
        return cls(lease, None if seconds is None else time.monotonic() + seconds)

    def remaining(self) -> float | None:
        """Seconds left, or `None` for a call without a deadline.

        Raises:
            DeadlineExceededError: There are none.
        """
        if self.deadline is None:
            return None
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise DeadlineExceededError("Timed out.")
        return seconds


def own_call() -> Call:
    """A call of the server's own, without limits."""
    return Call(MemoryBudget(2**63).lease(), is_own=True)


class Offload:
    """Does the work on large requests in threads, and that on small ones at once.

    Args:
        workers: The threads; `None`: everything is done at once.
    """

    def __init__(self, workers: Workers | None) -> None:
        self._workers = workers

    async def run(self, call: Call, size: int, function: Callable[[], Result]) -> Result:
        """The function's result.

        Args:
            call: The request that it is for.
            size: Bytes that the function has to go through.
            function: Function to run.

        Raises:
            ServingError: The queue is full or the time is up, or the function's own.
        """
        remaining = call.remaining()
        if self._workers is None or size <= SMALL_BYTES:
            return function()
        # The thread may outlast the request, and what it uses must be counted until then.
        call.lease.retain()
        return await self._workers.run(remaining, call.lease.release, function)
