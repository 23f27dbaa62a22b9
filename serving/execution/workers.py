"""Threads for TensorFlow calls, with a bounded queue in front of them."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from lsp_keras.serving.errors import DeadlineExceededError, OverloadedError, UnavailableError

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
        self._lock = threading.Lock()

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

        A caller that is cancelled leaves the queue; a thread that runs cannot be stopped.

        Args:
            timeout: Seconds after which the function is not started any more.
            release: Function that is called once, when the thread is done with the function or
                never gets it.
            function: Function that is called with `args` and `kwargs`.

        Raises:
            OverloadedError: The queue is full.
            DeadlineExceededError: The time is up.
            UnavailableError: The server is stopping, or may start no thread.
        """
        deadline = None if timeout is None else time.monotonic() + timeout

        def call() -> Result:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceededError("Timed out while waiting to be run.")
            return function(*args, **kwargs)

        self._enter(release)
        try:
            future = self._pool.submit(call)
        except RuntimeError as error:
            self._leave(release)
            raise UnavailableError("The server is stopping, or has no thread left.") from error
        # Called by the thread, not when the caller goes: what it uses must outlast it.
        future.add_done_callback(lambda _: self._leave(release))
        return await asyncio.wrap_future(future)

    def _enter(self, release: Callable[[], None]) -> None:
        with self._lock:
            pending = self._pending
            if pending < self._max_pending:
                self._pending += 1
                return
        release()
        raise OverloadedError(f"The server is overloaded: {pending} requests are waiting.")

    def _leave(self, release: Callable[[], None]) -> None:
        with self._lock:
            self._pending -= 1
        release()

    def stop(self) -> None:
        """Waits for what runs."""
        self._pool.shutdown(wait=True)
