"""One budget for all requests."""

import asyncio
import threading
import time

import pytest

from lsp_keras.serving.errors import (
    DeadlineExceededError,
    OverloadedError,
    RequestTooLargeError,
    UnavailableError,
)
from lsp_keras.serving.execution.calls import SMALL_BYTES, Call, Offload
from lsp_keras.serving.execution.memory import MemoryBudget
from lsp_keras.serving.execution.workers import Workers


def test_what_does_not_fit_is_refused_and_leaves_no_trace() -> None:
    budget = MemoryBudget(100)
    with budget.lease() as first, budget.lease() as second:
        first.grow(60)
        with pytest.raises(OverloadedError, match="other requests hold 60 bytes"):
            second.grow(41)
        second.grow(40)
        with pytest.raises(RequestTooLargeError, match="more memory than requests may, 100"):
            second.grow(61)
        assert budget.used == 100
    assert budget.used == 0


def test_a_lease_is_held_by_its_last_user() -> None:
    budget = MemoryBudget(10)
    with budget.lease() as lease:
        lease.grow(10)
        lease.retain()
    assert budget.used == 10
    lease.release()
    assert budget.used == 0


def test_many_threads_leave_nothing_behind() -> None:
    budget = MemoryBudget(500)
    highest = []

    def use() -> None:
        for size in range(200):
            with budget.lease() as lease:
                try:
                    lease.grow(size)
                    highest.append(budget.used)
                except OverloadedError:
                    continue

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used == 0
    assert max(highest) <= 500


def test_large_work_leaves_the_loop_and_holds_its_memory_until_it_is_done() -> None:
    workers, budget, gate = Workers(1, 1), MemoryBudget(100), threading.Event()

    def work() -> int:
        gate.wait()
        return threading.get_ident()

    async def scenario() -> tuple[int, int]:
        offload = Offload(workers)
        small = await offload.run(Call(budget.lease()), SMALL_BYTES, threading.get_ident)
        with budget.lease() as lease:
            lease.grow(100)
            running = asyncio.ensure_future(offload.run(Call(lease), SMALL_BYTES + 1, work))
            await asyncio.sleep(0.05)
        # The request is over, its thread is not.
        held = budget.used
        gate.set()
        assert await running not in (small, threading.get_ident())
        return small, held

    assert asyncio.run(scenario()) == (threading.get_ident(), 100)
    workers.stop()
    assert budget.used == 0


def test_nothing_is_begun_once_the_time_is_up() -> None:
    async def scenario() -> None:
        call = Call.within(MemoryBudget(1).lease(), 0.0)
        time.sleep(0.001)
        with pytest.raises(DeadlineExceededError, match="Timed out"):
            await Offload(None).run(call, 0, lambda: pytest.fail("it was begun"))

    asyncio.run(scenario())


def test_workers_that_have_stopped_refuse_and_hold_nothing() -> None:
    workers, budget = Workers(1, 1), MemoryBudget(100)
    workers.stop()
    with budget.lease() as lease:
        lease.grow(10)
        call = Call(lease, size=SMALL_BYTES + 1)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="The server is stopping"):
                asyncio.run(Offload(workers).run(call, call.size, int))
    assert (workers.pending, budget.used) == (0, 0)
