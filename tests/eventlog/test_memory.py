"""What the event log in memory keeps, counts and forgets."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fakes import ALICE, BOB, deltas, draft, ending
from ssot_engine.errors import UnknownRun
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.events import Position, ThreadKey

LATER = 10_000.0


async def finished_run(log: MemoryEventLog, run_id: str, pieces: int, key: ThreadKey = ALICE, size: int = 10) -> None:
    """A whole run of `pieces + 2` events, its deltas of some size."""
    log.begin(key, run_id, message="hello")
    await log.append(key, [draft("agent_started", 1, run_id)], attempt=1)
    for number in range(2, pieces + 2):
        await log.append(key, [draft("message_delta", number, run_id, text="x" * size)], attempt=1)
    await log.append(key, [ending(pieces + 2, run_id)], attempt=1)


def seqs(log: MemoryEventLog, after: int, key: ThreadKey = ALICE) -> list[int]:
    """The places of what is kept after a place."""
    return [event.seq for event in log.read_now(key, Position(log.head(key).epoch, after)).events]


async def test_it_is_made_without_an_event_loop_and_needs_no_opening():
    """The library's default works as soon as it is made; every log has an epoch of its own."""
    log, other = MemoryEventLog(), MemoryEventLog()
    log.begin(ALICE, "run-1")
    assert None is log.submit(ALICE, deltas(1, 3), attempt=1)
    assert 3 == log.head(ALICE).seq
    assert (0, "memory://") == (await log.open(), log.url)
    assert log.epoch != other.epoch


async def test_an_append_is_visible_when_it_returns():
    """Nothing is queued: what was submitted can be read in the same turn."""
    log = MemoryEventLog()
    log.begin(ALICE, "run-1")
    log.submit(ALICE, deltas(1, 2), attempt=1)
    assert [1, 2] == seqs(log, 0)


@pytest.mark.parametrize("how", ["expired", "erased", "evicted"])
async def test_what_is_forgotten_weighs_nothing(how):
    """The bytes counted return to zero when everything has gone, whichever way it went."""
    log = MemoryEventLog(max_bytes=1_000_000, max_events_per_thread=40)
    for number in range(4):
        await finished_run(log, f"run-{number}", 30, (ALICE, BOB)[number % 2])
    assert log.size_bytes > 4 * 30 * 10
    if how == "expired":
        await log.trim(time.time() + 1e9)
    elif how == "erased":
        await log.drop(ALICE)
        await log.drop(BOB)
    else:
        log._max_bytes = 0
        await log.trim()
    assert (0, []) == (log.size_bytes, await log.runs())


async def test_bytes_are_counted_at_every_step():
    """The sum of what is kept is the sum that is counted, after appends, settlings, caps and evictions."""
    log = MemoryEventLog(max_events_per_thread=50)
    for number in range(6):
        await finished_run(log, f"run-{number}", 20 + number, (ALICE, BOB)[number % 2])
        assert _weight(log) == log.size_bytes
    await log.trim(time.time() + LATER)
    assert _weight(log) == log.size_bytes
    await finished_run(log, "run-7", 10)
    await log.drop(BOB)
    assert _weight(log) == log.size_bytes


def _weight(log: MemoryEventLog) -> int:
    from ssot_engine.eventlog.memory import EVENT_OVERHEAD, RUN_OVERHEAD

    events: list[Any] = [event for thread in log._threads.values() for event in thread.events]
    events += [event for row in log._runs.values() for event in row.kept]
    runs = sum(RUN_OVERHEAD + len(row.message) for row in log._runs.values())
    return runs + sum(len(event.raw) + EVENT_OVERHEAD for event in events)


async def test_above_the_byte_cap_the_oldest_ended_runs_go():
    """A process-wide cap holds at every append; what goes first ended first, whoever's it is."""
    log = MemoryEventLog(max_bytes=100_000)
    for number in range(40):
        await finished_run(log, f"run-{number}", 3, ThreadKey("alice", f"t-{number}"), size=2000)
        assert log.size_bytes <= 100_000
    kept = [record.run_id for record in await log.runs()]
    assert [f"run-{number}" for number in range(39, 39 - len(kept), -1)] == kept
    assert 5 < len(kept) < 20


async def test_open_runs_are_never_evicted():
    """What is still being written stays, even above the cap."""
    log = MemoryEventLog(max_bytes=10_000)
    log.begin(ALICE, "open")
    for number in range(1, 31):
        await log.append(ALICE, [draft("message_delta", number, "open", text="x" * 1000)], attempt=1)
    await finished_run(log, "done", 3, BOB)
    assert list(range(1, 31)) == seqs(log, 0)
    assert None is await log.run("bob", "done")


async def test_a_long_thread_loses_its_oldest_quarter_at_a_time():
    """The cap of a thread is exceeded by a quarter at most, at any moment."""
    log = MemoryEventLog(max_events_per_thread=100)
    log.begin(ALICE, "run-1")
    for number in range(1, 1001):
        await log.append(ALICE, deltas(number, 1), attempt=1)
        page = log.read_now(ALICE, Position(log.epoch, log.head(ALICE).seq))
        assert page.head - page.floor <= 125
    assert page.head - page.floor >= 100


async def test_forgetting_a_thread_changes_the_epoch_of_later_ones_only():
    """Threads that stay keep their epoch; those made after another was forgotten have a new one."""
    log = MemoryEventLog()
    await finished_run(log, "a", 1)
    await finished_run(log, "b", 1, BOB)
    first = log.head(ALICE)
    await log.drop(BOB)
    assert first == log.head(ALICE)
    assert first.epoch != log.head(BOB).epoch
    await finished_run(log, "c", 1, BOB)
    second = log.head(BOB).epoch
    await log.drop(BOB)
    assert 3 == len({first.epoch, second, log.head(BOB).epoch})


async def test_a_thread_somebody_waits_for_is_not_forgotten():
    """Waiting for a thread keeps it, and who went away does not."""
    log = MemoryEventLog()
    waiting = log.changed(ALICE, 0)
    await log.trim()
    log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 1), attempt=1)
    await waiting
    gone = log.changed(BOB, 0)
    gone.cancel()
    before = log.head(BOB)
    await log.trim()
    assert before.epoch != log.head(BOB).epoch


async def test_readers_that_went_away_do_not_pile_up():
    """Ten thousand cancelled waits leave a bounded number behind."""
    log = MemoryEventLog()
    for _ in range(10_000):
        log.changed(ALICE, 0).cancel()
    assert len(log._threads[ALICE].waiters.asleep) < 100


async def test_a_record_that_went_is_unknown():
    """After its record has gone nothing of a run is accepted, and its id is free again."""
    log = MemoryEventLog()
    await finished_run(log, "run-1", 1)
    await log.trim(time.time() + 1e9)
    with pytest.raises(UnknownRun):
        await log.append(ALICE, [ending(3)], attempt=1)
    assert 1 == log.begin(ALICE, "run-1")
