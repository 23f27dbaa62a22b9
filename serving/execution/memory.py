"""One budget of memory for all requests that are being read, decoded and answered."""

import threading
from typing import Self

from lsp_keras.serving.errors import OverloadedError, RequestTooLargeError


class MemoryBudget:
    """What requests may hold together; an estimate, so that no request is decoded unseen.

    Args:
        total: Bytes.

    Example:
        >>> budget = MemoryBudget(100)
        >>> with budget.lease() as lease:
        ...     lease.grow(60)
        ...     budget.used
        60
        >>> budget.used
        0
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes that requests hold."""
        return self._used

    def lease(self) -> "Lease":
        """A request's part, empty at first."""
        return Lease(self)

    def take(self, size: int, held: int) -> None:
        """Counts that many bytes for a request that holds others already.

        Raises:
            RequestTooLargeError: The request alone is more than the budget.
            OverloadedError: Others hold the rest.
        """
        with self._lock:
            if self._used + size <= self.total:
                self._used += size
                return
            used = self._used
        if held + size > self.total:
            raise RequestTooLargeError(
                f"The request would take more memory than requests may, {self.total} bytes."
            )
        raise OverloadedError(f"The server is overloaded: other requests hold {used} bytes.")

    def give_back(self, size: int) -> None:
        """Counts that many bytes as free again."""
        with self._lock:
            self._used -= size


class Lease:
    """One request's part of a budget, held until its last user has released it."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size = 0
        self._users = 1
        self._lock = threading.Lock()

    def grow(self, size: int) -> None:
        """Takes that many bytes more.

        Raises:
            ServingError: There are not that many.
        """
        self._budget.take(size, self._size)
        with self._lock:
            self._size += size

    def retain(self) -> None:
        """Keeps it for one more user, such as a thread that may outlast the request."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One user less; the last one gives the bytes back."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self._budget.give_back(self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
