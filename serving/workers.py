"""Threads for TensorFlow calls, with a bounded queue in front of them."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from serving.errors import DeadlineExceededError, OverloadedError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Workers:
    """Runs functions off the event loop; refuses work rather than queueing without end.

    Args:
        num_threads: Functions that run at once.
        max_pending: Functions that run or wait; one more is refused.
    """

    def __init__(self, num_threads: int, max_pending: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(num_threads, "inference")
        self._max_pending = max_pending
        self._pending = 0

    @property
    def pending(self) -> int:
        """Functions that run or wait."""
        return self._pending

    async def run(
        self,
        timeout: float | None,
        release: Callable[[], None],
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """The function's result, computed in a thread.

        Args:
            timeout: Seconds until the caller is answered, whatever the thread does.
            release: Called once, when the thread is done with the function or was refused.
            function: Given `args` and `kwargs`; not started once the time is up.

        Raises:
            OverloadedError: The queue is full.
            DeadlineExceededError: The time is up.
        """
        if self._pending >= self._max_pending:
            release()
            raise OverloadedError(
                f"The server is overloaded: {self._pending} requests are waiting."
            )
        deadline = None if timeout is None else time.monotonic() + timeout

        def call() -> Result:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceededError("Timed out while waiting to be run.")
            return function(*args, **kwargs)

        def finished(future: "asyncio.Future[Result]") -> None:
            self._pending -= 1
            release()
            if not future.cancelled():
                # Read here too, for a caller that has gone would leave it unread.
                future.exception()

        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        # A thread cannot be stopped, so its place is freed when it ends, not when the caller goes.
        future.add_done_callback(finished)
        return await _within(timeout, future)

    def stop(self) -> None:
        """Waits for what runs."""
        self._pool.shutdown(wait=True)


async def _within(timeout: float | None, future: "asyncio.Future[Result]") -> Result:
    """The future's result; the future goes on when the time is up or the caller goes."""
    if timeout is None:
        return await asyncio.shield(future)
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.shield(future)
    except TimeoutError:
        raise DeadlineExceededError("Timed out.") from None
