"""The thread for calls that block."""

from __future__ import annotations

import asyncio
import gc
import resource
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from ssot_engine.eventlog.helper_thread import HelperThread


@pytest.fixture
async def helper() -> Iterator[HelperThread]:
    """A thread that ends with the test."""
    helper = HelperThread("test-helper")
    yield helper
    helper.close()


async def test_calls_are_made_in_order_on_one_thread(helper):
    """One call after another, all on the same thread, which is not the loop's."""
    order: list[int] = []

    def call(number: int) -> int:
        time.sleep(0.001 * (3 - number))
        order.append(number)
        return threading.get_ident()

    threads = await asyncio.gather(*[helper.call(lambda n=n: call(n)) for n in range(3)])
    assert ([0, 1, 2], 1) == (order, len(set(threads)))
    assert threading.get_ident() not in threads


async def test_what_a_call_raises_reaches_who_waits(helper):
    """An error belongs to its call; the thread goes on."""
    with pytest.raises(ZeroDivisionError):
        await helper.call(lambda: 1 // 0)
    assert 2 == await helper.call(lambda: 2)


async def test_a_cancelled_wait_does_not_stop_the_call(helper):
    """The call is made all the same, and the next one after it."""
    done: list[int] = []
    waiting = helper.call(lambda: done.append(1))
    waiting.cancel()
    await helper.call(lambda: None)
    assert [1] == done


async def test_what_was_returned_is_not_kept(helper):
    """A page that was read does not live until the next one is asked for."""

    class Page:
        pass

    page = await helper.call(Page)
    alive = weakref.ref(page)
    del page
    async with asyncio.timeout(5):
        while alive() is not None:
            await asyncio.sleep(0.01)
            gc.collect()


async def test_a_thread_ends_with_its_last_call():
    """After `close` what was asked before is done, and the thread is gone."""
    helper = HelperThread("test-helper-ending")
    last = helper.call(lambda: 7)
    helper.close()
    assert 7 == await last
    async with asyncio.timeout(5):
        while "test-helper-ending" in [thread.name for thread in threading.enumerate()]:
            await asyncio.sleep(0.01)


async def test_a_busy_loop_gives_way_while_the_thread_works(helper):
    """A loop that computes all the time really sleeps, often and shortly, while a call is under way, and only then."""
    is_over = False

    async def compute() -> None:
        while not is_over:
            until = time.perf_counter() + 0.0005
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)

    async def sleeps_during(seconds: float) -> int:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        await asyncio.sleep(seconds)
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before

    computing = asyncio.ensure_future(compute())
    call = helper.call(lambda: time.sleep(0.3))
    during = await sleeps_during(0.25)
    await call
    await asyncio.sleep(0.01)
    after = await sleeps_during(0.25)
    is_over = True
    await computing
    assert during > 4 * after + 20
