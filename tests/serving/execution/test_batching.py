"""Many requests, one call; and never one request's fault in another's answer."""

import asyncio
from typing import Any, cast

import numpy as np
import pytest

from lsp_keras.serving.errors import InternalError, InvalidArgumentError, UnavailableError
from lsp_keras.serving.execution.batching import BatchingExecutor, BatchingOptions
from lsp_keras.serving.models.config_protos import BatchingParameters
from lsp_keras.serving.models.signatures import Signature
from lsp_keras.validation import InputError

SIGNATURE = Signature("s", "", {}, {})


class FakeHandle:
    """Counts who holds it."""

    def __init__(self) -> None:
        self.servable = object()
        self.users = 0

    def retain(self) -> None:
        self.users += 1

    def release(self) -> None:
        self.users -= 1


class Doubler:
    """Stands for the model: doubles, refuses negative numbers, remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[np.ndarray] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, handle: Any, signature: Any, inputs: dict, timeout: Any) -> dict:
        self.calls.append(inputs["x"])
        await self.gate.wait()
        if np.isnan(inputs["x"]).any():
            raise TypeError("nobody thought of this")
        if (inputs["x"] < 0).any():
            raise InvalidArgumentError("negative")
        return {"y": inputs["x"] * 2}


def batcher(model: Doubler, **options: Any) -> BatchingExecutor:
    return BatchingExecutor(model, BatchingOptions(**options))


def ask(executor: BatchingExecutor, handle: Any, *values: float, width: int = 1) -> Any:
    column = np.repeat(np.array(values, np.float32)[:, None], width, axis=1)
    return executor.run(handle, SIGNATURE, {"x": column}, 5.0)


async def gather(*requests: Any) -> list[Any]:
    results: list[Any] = await asyncio.gather(*requests, return_exceptions=True)
    return [result if isinstance(result, Exception) else result["y"] for result in results]


def test_requests_that_wait_together_share_a_call() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=0.05, max_batch_size=8)
        answers = await gather(
            ask(executor, handle, 1), ask(executor, handle, 2, 3), ask(executor, handle, 4)
        )
        assert [answer[:, 0].tolist() for answer in answers] == [[2], [4, 6], [8]]
        assert [call[:, 0].tolist() for call in model.calls] == [[1, 2, 3, 4]]
        assert handle.users == 0

    asyncio.run(scenario())


def test_a_full_batch_does_not_wait() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=60.0, max_batch_size=2)
        await gather(*(ask(executor, handle, value) for value in range(6)))
        assert [len(call) for call in model.calls] == [2, 2, 2]

    asyncio.run(scenario())


def test_without_a_timeout_requests_gather_while_threads_are_busy() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, num_batch_threads=1)
        model.gate.clear()
        waiting = asyncio.gather(*(ask(executor, handle, value) for value in range(5)))
        await asyncio.sleep(0.01)
        model.gate.set()
        await waiting
        assert [len(call) for call in model.calls] == [1, 4]

    asyncio.run(scenario())


def test_a_batch_that_would_overflow_is_left_to_the_next_one() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=0.02, max_batch_size=4)
        await gather(ask(executor, handle, 1, 2, 3), ask(executor, handle, 4, 5))
        assert sorted(len(call) for call in model.calls) == [2, 3]

    asyncio.run(scenario())


def test_the_request_at_fault_fails_alone() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=0.02)
        good, bad, other = await gather(
            ask(executor, handle, 1), ask(executor, handle, -1), ask(executor, handle, 3)
        )
        assert (good.tolist(), other.tolist()) == ([[2]], [[6]])
        assert isinstance(bad, InvalidArgumentError)
        assert handle.users == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("values", [[np.nan], [1, np.nan, 3], [np.nan, np.nan, -1]])
def test_no_request_waits_for_ever_whatever_is_raised(values: list[float]) -> None:
    kinds = {True: InternalError, False: np.ndarray}

    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=0.02)
        requests = gather(*(ask(executor, handle, value) for value in values))
        answers = await asyncio.wait_for(requests, 5)
        for value, answer in zip(values, answers, strict=True):
            expected = InvalidArgumentError if value < 0 else kinds[bool(np.isnan(value))]
            assert isinstance(answer, expected)
        assert handle.users == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("shapes", "sizes"), [([(1, 1, 10_000), (1, 10_000, 1)], ()), ([(1, 70_000)], (1000,))]
)
def test_padding_takes_no_more_than_it_may(shapes, sizes) -> None:
    async def scenario() -> None:
        model, handle = Doubler(), cast("Any", FakeHandle())
        executor = batcher(
            model, batch_timeout=0.02, allowed_batch_sizes=sizes, pad_variable_length_inputs=True
        )
        arrays = [np.ones(shape, np.float32) for shape in shapes]
        answers = await gather(
            *(executor.run(handle, SIGNATURE, {"x": array}, 5.0) for array in arrays)
        )
        assert [answer.shape for answer in answers] == shapes
        assert [call.shape for call in model.calls] == shapes

    asyncio.run(scenario())


def test_requests_of_different_widths_never_meet_unless_padded() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=0.02)
        await gather(ask(executor, handle, 1, width=2), ask(executor, handle, 2, width=3))
        assert sorted(call.shape for call in model.calls) == [(1, 2), (1, 3)]
        padded = Doubler()
        executor = batcher(padded, batch_timeout=0.02, pad_variable_length_inputs=True)
        await gather(ask(executor, handle, 1, width=2), ask(executor, handle, 2, width=3))
        # Padding is the tensor's own first value.
        assert [call.tolist() for call in padded.calls] == [[[1, 1, 1], [2, 2, 2]]]

    asyncio.run(scenario())


def test_batches_are_padded_to_an_allowed_size() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        options = {"max_batch_size": 4, "allowed_batch_sizes": (1, 4), "batch_timeout": 0.02}
        executor = batcher(model, **options)
        answers = await gather(ask(executor, handle, 1, 2), ask(executor, handle, 3))
        assert [answer[:, 0].tolist() for answer in answers] == [[2, 4], [6]]
        assert [call[:, 0].tolist() for call in model.calls] == [[1, 2, 3, 1]]

    asyncio.run(scenario())


def test_zero_rows_run_alone_and_too_many_are_refused() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, max_batch_size=2, batch_timeout=60.0)
        assert (await gather(ask(executor, handle)))[0].shape == (0, 1)
        with pytest.raises(
            InvalidArgumentError,
            match="Task size 3 is larger than maximum input batch size 2",
        ):
            await ask(executor, handle, 1, 2, 3)

    asyncio.run(scenario())


def test_the_queue_is_bounded() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, max_batch_size=1, max_enqueued_batches=2, num_batch_threads=1)
        model.gate.clear()
        waiting = [asyncio.ensure_future(ask(executor, handle, value)) for value in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(UnavailableError, match="to which this task was submitted is full"):
            await ask(executor, handle, 9)
        model.gate.set()
        await asyncio.gather(*waiting)
        assert handle.users == 0

    asyncio.run(scenario())


def test_a_caller_that_went_away_is_left_out() -> None:
    async def scenario() -> None:
        model, handle = Doubler(), FakeHandle()
        executor = batcher(model, batch_timeout=0.05)
        gone = asyncio.ensure_future(ask(executor, handle, 1))
        stays = asyncio.ensure_future(ask(executor, handle, 2))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await stays)["y"].tolist() == [[4]]
        assert [call.tolist() for call in model.calls] == [[[2]]]

    asyncio.run(scenario())


def test_options_from_upstreams_file() -> None:
    proto = BatchingParameters()
    proto.max_batch_size.value = 4
    proto.batch_timeout_micros.value = 1500
    proto.allowed_batch_sizes.extend([2, 4])
    assert BatchingOptions.from_proto(proto) == BatchingOptions(
        max_batch_size=4, batch_timeout=0.0015, allowed_batch_sizes=(2, 4)
    )
    proto.allowed_batch_sizes.append(8)
    with pytest.raises(InputError, match="must be increasing and end with `max_batch_size`"):
        BatchingOptions.from_proto(proto)
