"""Deadlines: all of them on one timer, none forgotten, none early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fakes import until
from ssot_engine.deadlines import TICK_S, Deadlines


class Due:
    """Has a deadline, and calls something when it has passed."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.deadline_passed = call


async def test_each_deadline_is_noticed_and_never_early() -> None:
    """Whatever the order they were added in, the latest first included."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    late: dict[float, float] = {}
    began = loop.time()
    for offset in (5.0, 0.25, 0.0, 0.05, 0.15, 0.1):
        at = began + offset
        deadlines.add(at, Due(lambda at=at, offset=offset: late.__setitem__(offset, loop.time() - at)))
    await until(lambda: len(late) == 5)
    assert all(0 <= seconds for seconds in late.values()), late
    assert 1 == len(deadlines)
    deadlines.close()


async def test_a_deadline_that_has_passed_already_is_noticed() -> None:
    """A time before now, also before the wheel's own position, is due at the next tick."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    due: list[str] = []
    deadlines.add(loop.time() + 60, Due(lambda: due.append("far")))
    await asyncio.sleep(2.5 * TICK_S)
    deadlines.add(loop.time() - 60, Due(lambda: due.append("past")))
    await until(lambda: due)
    assert ["past"] == due
    deadlines.close()


async def test_a_removed_deadline_is_not_called() -> None:
    """Removing it twice, or after it was called, does nothing."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    due: list[str] = []

    kept, removed = Due(lambda: due.append("kept")), Due(lambda: due.append("removed"))

    at = loop.time() + 0.05
    slots = deadlines.add(at, kept), deadlines.add(at, removed)
    deadlines.remove(slots[1], removed)
    deadlines.remove(slots[1], removed)
    await until(lambda: due)
    deadlines.remove(slots[0], kept)
    assert ["kept"] == due
    assert 0 == len(deadlines)


async def test_the_timer_stops_with_nothing_to_wait_for_and_starts_again() -> None:
    """After the last one no timer runs; the next addition starts it."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    for _ in range(2):
        due: list[int] = []
        deadlines.add(loop.time() + 0.01, Due(lambda due=due: due.append(1)))
        await until(lambda due=due: due)
        assert deadlines._timer is None


async def test_a_deadline_may_add_and_remove_others_when_it_is_due() -> None:
    """What a due deadline does to the wheel does not disturb it."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    due: list[str] = []

    other = Due(lambda: due.append("other"))

    def first() -> None:
        due.append("first")
        deadlines.remove(slot, other)
        deadlines.add(loop.time(), Due(lambda: due.append("last")))

    slot = deadlines.add(loop.time() + 60, other)
    deadlines.add(loop.time() + 0.01, Due(first))
    await until(lambda: len(due) == 2)
    assert ["first", "last"] == due
    assert 0 == len(deadlines)


async def test_a_closed_wheel_calls_nothing() -> None:
    """Closing forgets all deadlines and stops the timer."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    due: list[int] = []
    deadlines.add(loop.time() + 0.01, Due(lambda: due.append(1)))
    deadlines.close()
    await asyncio.sleep(2.5 * TICK_S)
    assert [] == due
    assert 0 == len(deadlines)
