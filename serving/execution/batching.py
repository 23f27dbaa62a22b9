"""Puts the rows of many small requests into one call of the model."""

import asyncio
import logging
import math
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lsp_keras.serving.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ServingError,
    UnavailableError,
)
from lsp_keras.serving.execution.executor import Executor
from lsp_keras.serving.models.served_model import ServableHandle
from lsp_keras.serving.models.signatures import Array, Signature, Tensors
from lsp_keras.validation import InputError

logger = logging.getLogger(__name__)
# Requests of different widths, or of fewer rows than a batch may have, are padded up to this size
# beyond their own; those that need more run by themselves.
MAX_PADDING_BYTES = 256 << 20


@dataclass(frozen=True)
class BatchingOptions:
    """TensorFlow Serving's batching parameters.

    Attributes:
        max_batch_size: Rows in a call.
        batch_timeout: Seconds that a request waits for others while a thread is free.
        max_enqueued_batches: Batches that wait; requests for one more are refused.
        num_batch_threads: Batches that run at once.
        allowed_batch_sizes: A batch is padded to the next of these; the last is
            `max_batch_size`. None: batches of any size.
        pad_variable_length_inputs: Batch requests of different widths, padded with each
            tensor's first value. Otherwise only requests of one shape share a batch.
    """

    max_batch_size: int = 1000
    batch_timeout: float = 0.0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    def __post_init__(self) -> None:
        sizes = self.allowed_batch_sizes
        if min(self.max_batch_size, self.max_enqueued_batches, self.num_batch_threads) < 1:
            raise InputError("Batching parameters must be 1 or more.")
        if sizes and (sorted(set(sizes)) != list(sizes) or sizes[-1] != self.max_batch_size):
            raise InputError(
                "`allowed_batch_sizes` must be increasing and end with `max_batch_size`. "
                f"Received: {list(sizes)}, max_batch_size={self.max_batch_size}."
            )

    @classmethod
    def from_proto(cls, proto: Any) -> "BatchingOptions":
        """From a `--batching_parameters_file`; what it leaves out has its default."""
        values: dict[str, Any] = {
            name: getattr(proto, name).value
            for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads")
            if proto.HasField(name)
        }
        if proto.HasField("batch_timeout_micros"):
            values["batch_timeout"] = proto.batch_timeout_micros.value / 1e6
        return cls(
            **values,
            allowed_batch_sizes=tuple(proto.allowed_batch_sizes),
            pad_variable_length_inputs=proto.pad_variable_length_inputs,
        )


@dataclass
class Task:
    """One request's part of a batch."""

    inputs: Tensors
    rows: int
    timeout: float | None
    result: "asyncio.Future[Tensors]"


@dataclass
class Batch:
    """Tasks that share one call."""

    handle: ServableHandle
    signature: Signature
    key: object
    due: float
    tasks: list[Task] = field(default_factory=list)
    rows: int = 0

    def add(self, task: Task) -> None:
        """One more task."""
        self.tasks.append(task)
        self.rows += task.rows


class BatchingExecutor:
    """Collects requests for one signature of one version into batches.

    A request that cannot be batched, having no rows or inputs of different lengths, runs by
    itself. When a batch fails, its requests run one by one, so that only the one at fault fails.

    Args:
        executor: Executor that runs the batches.
        options: Sizes and times.
        on_batch: Function that is told the signature and the rows of each batch.
    """

    def __init__(
        self,
        executor: Executor,
        options: BatchingOptions,
        on_batch: Callable[[str, int], None] = lambda signature, rows: None,
    ) -> None:
        self._executor = executor
        self._options = options
        self._on_batch = on_batch
        self._open: dict[object, Batch] = {}
        self._waiting: deque[Batch] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def run(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, timeout: float | None
    ) -> Tensors:
        """Outputs by name.

        Raises:
            InvalidArgumentError: More rows than a batch may have.
            UnavailableError: The queue is full.
            ServingError: The time is up, or the model reports an error.
        """
        # Inputs without rows in common cannot be joined along the first dimension.
        rows = _common_rows(inputs)
        if not rows:
            return await self._executor.run(handle, signature, inputs, timeout)
        if rows > self._options.max_batch_size:
            raise InvalidArgumentError(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._options.max_batch_size}"
            )
        batch = self._batch_for(handle, signature, inputs, rows)
        task = Task(inputs, rows, timeout, asyncio.get_running_loop().create_future())
        batch.add(task)
        # A full batch takes no more; it stays in the queue until a thread is free.
        if batch.rows == self._options.max_batch_size:
            self._open.pop(batch.key, None)
        self._start_due()
        return await task.result

    def _batch_for(
        self, handle: ServableHandle, signature: Signature, inputs: Tensors, rows: int
    ) -> Batch:
        """The batch that still has room for the request, or a new one at the end of the queue."""
        key = self._key(handle, signature, inputs)
        batch = self._open.get(key)
        if batch and batch.rows + rows <= self._options.max_batch_size:
            return batch
        # A request that joins a waiting batch costs no place in the queue; a new batch does.
        if len(self._waiting) >= self._options.max_enqueued_batches:
            raise UnavailableError(
                "The batch scheduling queue to which this task was submitted is full"
            )
        loop = asyncio.get_running_loop()
        batch = Batch(handle, signature, key, loop.time() + self._options.batch_timeout)
        # The version must not be unloaded while its requests wait.
        handle.retain()
        self._open[key] = batch
        self._waiting.append(batch)
        # Wakes the queue once the batch is due, unless it fills before.
        if self._options.batch_timeout:
            loop.call_at(batch.due, self._start_due)
        return batch

    def _key(self, handle: ServableHandle, signature: Signature, inputs: Tensors) -> object:
        # Rows are joined only where all other dimensions agree, or all ranks where they are padded.
        shapes = [
            len(array.shape) if self._options.pad_variable_length_inputs else array.shape[1:]
            for array in inputs.values()
        ]
        return (id(handle.servable), signature.name, *shapes)

    def _start_due(self) -> None:
        """Starts batches that are full or have waited long enough, while threads are free."""
        now = asyncio.get_running_loop().time()
        for batch in list(self._waiting):
            if len(self._running) >= self._options.num_batch_threads:
                return
            # Oldest first. An open batch waits for more rows until it is due, a full one does not.
            is_open = self._open.get(batch.key) is batch
            if is_open and now < batch.due:
                continue
            if is_open:
                del self._open[batch.key]
            self._waiting.remove(batch)
            running = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(running)
            running.add_done_callback(self._finished)

    def _finished(self, running: "asyncio.Task[None]") -> None:
        self._running.discard(running)
        self._start_due()

    async def _run(self, batch: Batch) -> None:
        try:
            # Whoever gave up while waiting is left out.
            tasks = [task for task in batch.tasks if not task.result.done()]
            if len(tasks) > 1 or self._options.allowed_batch_sizes:
                tasks = await self._try_together(batch, tasks)
            for task in tasks:
                await self._run_alone(batch, task)
        finally:
            batch.handle.release()

    async def _try_together(self, batch: Batch, tasks: list[Task]) -> list[Task]:
        """Runs all in one call; returns those that have to run alone."""
        try:
            self._on_batch(batch.signature.name, sum(task.rows for task in tasks))
            await self._run_together(batch, tasks)
        except (DeadlineExceededError, UnavailableError) as error:
            for task in tasks:
                _fail(task, error)
        # One request may have spoiled the call for all: each is tried again by itself.
        except ServingError:
            return tasks
        except Exception:
            logger.exception("a batch failed; its requests run one by one")
            return tasks
        return []

    async def _run_together(self, batch: Batch, tasks: list[Task]) -> None:
        rows = sum(task.rows for task in tasks)
        # (rows + padding, ...) for each input: one of the allowed sizes where there are some.
        padding = self._padding(rows)
        names = tasks[0].inputs
        inputs = {
            name: _concatenate([task.inputs[name] for task in tasks], padding) for name in names
        }
        # The call may take as long as the most patient request waits.
        timeouts = [task.timeout for task in tasks]
        timeout = None if None in timeouts else max(time for time in timeouts if time is not None)
        outputs = await self._executor.run(batch.handle, batch.signature, inputs, timeout)
        if any(array.ndim == 0 or len(array) != rows + padding for array in outputs.values()):
            raise InvalidArgumentError("An output has no row for each input row.")
        # Each request gets its own rows back, in the order they were joined; padding is dropped.
        start = 0
        for task in tasks:
            part = slice(start, start + task.rows)
            start += task.rows
            _resolve(task, {name: array[part] for name, array in outputs.items()})

    async def _run_alone(self, batch: Batch, task: Task) -> None:
        try:
            outputs = await self._executor.run(
                batch.handle, batch.signature, task.inputs, task.timeout
            )
        except ServingError as error:
            _fail(task, error)
        except Exception:
            # Whatever it is, the request must not wait for ever.
            logger.exception("request failed")
            _fail(task, InternalError("Internal server error."))
        else:
            _resolve(task, outputs)

    def _padding(self, rows: int) -> int:
        sizes = self._options.allowed_batch_sizes
        return next((size for size in sizes if size >= rows), rows) - rows


def _resolve(task: Task, outputs: Tensors) -> None:
    if not task.result.done():
        task.result.set_result(outputs)


def _fail(task: Task, error: ServingError) -> None:
    if not task.result.done():
        task.result.set_exception(error)


def _common_rows(inputs: Tensors) -> int:
    """Rows of all inputs; 0 where there is none or they differ."""
    lengths = {array.shape[0] if array.ndim else 0 for array in inputs.values()}
    return lengths.pop() if len(lengths) == 1 else 0


def _concatenate(arrays: list[Array], padding: int) -> Array:
    widest = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
    # A wide row makes all rows wide, in each dimension by itself.
    size = (sum(map(len, arrays)) + padding) * math.prod(widest) * arrays[0].itemsize
    if size - sum(array.nbytes for array in arrays) > MAX_PADDING_BYTES:
        raise InvalidArgumentError("The requests of a batch differ too much to be padded.")
    arrays = [_widen(array, widest) for array in arrays]
    # Rows of padding are copies of the first, which the model is known to take.
    return np.concatenate(arrays + [arrays[0][:1]] * padding)


def _widen(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape[1:] == shape:
        return array
    width = [(0, 0)] + [(0, new - old) for new, old in zip(shape, array.shape[1:], strict=True)]
    first = array.reshape(-1)[:1]
    return np.pad(array, width, constant_values=first[0] if len(first) else 0)
