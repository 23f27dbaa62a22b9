"""Runs a signature for a request, off the event loop."""

from typing import Protocol

from lsp_keras.serving.execution.workers import Workers
from lsp_keras.serving.models.served_model import ServableHandle
from lsp_keras.serving.models.signatures import Signature, Tensors


class Executor(Protocol):
    """Something that runs signatures."""

    async def run(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, timeout: float | None
    ) -> Tensors:
        """Outputs by name; `inputs` have been checked against the signature."""


class DirectExecutor:
    """Runs each request by itself.

    Args:
        workers: Threads for it.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def run(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, timeout: float | None
    ) -> Tensors:
        """Outputs by name.

        Raises:
            ServingError: The queue is full, the time is up, or the model reports an error.
        """
        # The thread may outlast the caller, and the servable must outlast the thread.
        handle.retain()
        return await self._workers.run(
            timeout, handle.release, handle.servable.run, signature, inputs, timeout
        )
