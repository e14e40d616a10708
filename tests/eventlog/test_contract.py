"""What every event log promises, run against every backend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from fakes import ALICE, BOB, deltas, draft, ending
from ssot_engine.errors import ClosedError, RunConflict, StaleAttempt, UnknownRun
from ssot_engine.eventlog.base import Draft, EventLog, Reset
from ssot_engine.events import Event, Position, RunStatus, ThreadKey

LATER = 10_000.0
OTHER = ThreadKey("alice", "t-2")


async def store(log: EventLog, drafts: Sequence[Draft], key: ThreadKey = ALICE, attempt: int = 1) -> Position:
    """Append, beginning the run with its first event."""
    if drafts[0].run_seq == 1:
        log.begin(key, drafts[0].run_id)
    return await log.append(key, drafts, attempt=attempt)


async def finished_run(log: EventLog, run_id: str, pieces: int, key: ThreadKey = ALICE) -> Position:
    """A whole run: started, some deltas, completed; `pieces + 2` events."""
    drafts = [draft("agent_started", 1, run_id), *deltas(2, pieces, run_id), ending(pieces + 2, run_id)]
    return await store(log, drafts, key)


async def read_all(log: EventLog, key: ThreadKey = ALICE, after: Position | None = None) -> list[Event | Reset]:
    """Everything that is there, from a position on."""
    return [item async for item in log.follow(key, after, live=False)]


def seqs(items: Sequence[Event | Reset]) -> list[int]:
    """The places of events."""
    assert all(isinstance(item, Event) for item in items), items
    return [item.seq for item in items if isinstance(item, Event)]


def texts(events: Sequence[Event]) -> list[str]:
    """What message deltas say."""
    return [event.payload["text"] for event in events]


async def soon(awaitable):
    """The result, within the time a test may wait."""
    return await asyncio.wait_for(awaitable, 5)


# --------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("stored", "after", "limit", "status", "expected"),
    [
        (0, None, 1000, "ok", []),
        (0, 0, 1000, "ok", []),
        (0, 3, 1000, "ahead", []),
        (6, None, 1000, "ok", [1, 2, 3, 4, 5, 6]),
        (6, 0, 1000, "ok", [1, 2, 3, 4, 5, 6]),
        (6, 2, 1000, "ok", [3, 4, 5, 6]),
        (6, 2, 2, "ok", [3, 4]),
        (6, None, 1, "ok", [1]),
        (6, 6, 1000, "ok", []),
        (6, 7, 1000, "ahead", []),
        (6, 106, 1000, "ahead", []),
    ],
)
async def test_a_page_follows_its_position(log, stored, after, limit, status, expected):
    """A read gives the events after its position, or says why it cannot."""
    if stored:
        await store(log, deltas(1, stored))
    position = None if after is None else Position(log.epoch, after)
    page = await log.read(ALICE, position, limit)
    assert (status, expected, stored) == (page.status, [event.seq for event in page.events], page.head)


@pytest.mark.parametrize(
    ("after", "status", "expected"),
    [(None, "gap", []), (0, "gap", []), (3, "gap", []), (4, "ok", [5, 6]), (6, "ok", []), (7, "ahead", [])],
)
async def test_a_position_older_than_what_is_kept_is_a_gap(log, after, status, expected):
    """Where the next event is gone a read says so, and where it is kept nothing is missing."""
    await finished_run(log, "old", 2)
    await store(log, deltas(1, 2, "open"))
    assert 4 == await log.trim(time.time() + LATER)
    page = await log.read(ALICE, None if after is None else Position(log.epoch, after))
    assert (status, expected, 4, 6) == (page.status, [e.seq for e in page.events], page.floor, page.head)


async def test_the_newest_position_of_an_expired_thread_is_still_good(log):
    """A thread whose events are all gone gives a gap, but not to a reader that had seen them all."""
    head = await finished_run(log, "old", 2)
    await log.trim(time.time() + LATER)
    assert ("gap", "ok", "ahead") == tuple(
        [(await log.read(ALICE, Position(log.epoch, seq))).status for seq in (head.seq - 1, head.seq, head.seq + 1)]
    )


async def test_a_position_of_another_epoch_is_refused(log):
    """A position of another history is told from one of this."""
    await store(log, deltas(1, 3))
    for seq in (0, 2, 9):
        page = await log.read(ALICE, Position("another", seq))
        assert ("epoch_changed", []) == (page.status, list(page.events))
    assert "epoch_changed" == (await log.read(OTHER, Position("another", 0))).status


async def test_an_event_is_read_as_it_was_written(log):
    """Every field of an event is what its writer said, and where the log put it."""
    before = Draft("custom", "run-1", "writer", 1, 2, 1, 1234.5, draft("x", 1, name="n", data={"ü": [None, 1.5]}).raw)
    log.begin(ALICE, "run-1")
    await log.append(ALICE, [before], attempt=1)
    (event,) = (await log.read(ALICE)).events
    expected = Event("custom", "t-1", "run-1", "alice", "writer", log.epoch, 1, 1, 2, 1, 1234.5, before.raw)
    assert expected == event
    assert {"name": "n", "data": {"ü": [None, 1.5]}} == event.payload


async def test_reading_in_pieces_is_reading_whole(log):
    """Pages of every size, and a resumption from every place, give exactly the whole."""
    await finished_run(log, "one", 9)
    await finished_run(log, "two", 8)
    whole = await read_all(log)
    assert list(range(1, 22)) == seqs(whole)
    for size in range(1, 23):
        pieces, position = [], None
        while (page := await log.read(ALICE, position, size)).events:
            assert size >= len(page.events)
            pieces += page.events
            position = page.events[-1].position
        assert whole == pieces
    for event in whole:
        assert whole[event.seq :] == await read_all(log, after=event.position)


async def test_a_foreign_thread_is_an_empty_one(log):
    """Two users with one thread id have two threads; the other's cannot be told from none."""
    await store(log, deltas(1, 3))
    nobody = ThreadKey("carol", "t-1")
    assert [] == await read_all(log, BOB)
    assert (await log.read(nobody)) == (await log.read(BOB))
    assert () == await log.snapshot(BOB, 100)
    assert [] == log.recent(BOB, 10)
    assert None is await log.run("bob", "run-1")
    with pytest.raises(UnknownRun):
        await log.append(BOB, deltas(4, 1), attempt=1)
    assert [1, 2, 3] == seqs(await read_all(log))


# --------------------------------------------------------------------- writing


async def test_positions_are_dense_across_runs(log):
    """The seq of a thread counts by one whatever runs write to it, and each thread counts for itself."""
    log.begin(ALICE, "a")
    log.begin(ALICE, "b")
    log.begin(OTHER, "c")
    places = [(await log.append(ALICE, deltas(1, 2, "a"), attempt=1)).seq]
    places.append((await log.append(ALICE, deltas(1, 1, "b"), attempt=1)).seq)
    places.append((await log.append(OTHER, deltas(1, 1, "c"), attempt=1)).seq)
    places.append((await log.append(ALICE, deltas(3, 1, "a"), attempt=1)).seq)
    assert [2, 3, 1, 4] == places
    assert [1, 2, 3, 4] == seqs(await read_all(log))
    assert Position(log.epoch, 4) == log.head(ALICE)
    assert Position(log.epoch, 0) == log.head(BOB)


async def test_an_append_of_nothing_changes_nothing(log):
    """No events, no places taken."""
    assert None is log.submit(ALICE, [], attempt=1)
    await store(log, deltas(1, 1))
    assert 1 == (await log.append(ALICE, [], attempt=1)).seq


async def test_an_event_known_already_is_not_stored_again(log):
    """The ordinal of an event in its run is its idempotency key."""
    await store(log, deltas(1, 3))
    assert 3 == (await log.append(ALICE, deltas(3, 1), attempt=1)).seq
    assert 3 == (await log.append(ALICE, deltas(1, 3), attempt=1)).seq
    assert ["piece 1", "piece 2", "piece 3"] == texts((await log.read(ALICE)).events)


async def test_only_what_is_new_of_an_append_is_stored(log):
    """A repeated append whose first events are known adds the rest, in order."""
    await store(log, deltas(1, 3))
    assert 5 == (await log.append(ALICE, deltas(2, 4), attempt=1)).seq
    assert [f"piece {n}" for n in range(1, 6)] == texts((await log.read(ALICE)).events)


async def test_a_known_ordinal_never_ends_a_run(log):
    """A terminal event under an ordinal that another event has is suppressed like any other, and ends nothing."""
    await store(log, deltas(1, 2))
    assert 2 == (await log.append(ALICE, [ending(2)], attempt=1)).seq
    assert None is (await log.run("alice", "run-1")).status
    assert 3 == (await log.append(ALICE, [ending(3)], attempt=1)).seq
    assert [1, 2, 3] == seqs(await read_all(log))


async def test_the_terminal_may_be_repeated(log):
    """Whoever did not hear that the end was stored says it again, and nothing is added."""
    head = await finished_run(log, "run-1", 2)
    assert head == await log.append(ALICE, [ending(4)], attempt=1)
    assert head == await log.append(ALICE, [*deltas(3, 1), ending(4)], attempt=1)
    assert head == log.head(ALICE)


async def test_events_queued_in_one_turn_keep_their_order(log):
    """What is submitted without waiting is stored in the order of submission."""
    log.begin(ALICE, "run-1")
    acks = [log.submit(ALICE, deltas(n, 1), attempt=1) for n in range(1, 101)]
    await asyncio.gather(*[asyncio.shield(ack) for ack in acks if ack is not None])
    assert [f"piece {n}" for n in range(1, 101)] == texts((await log.read(ALICE)).events)


async def test_a_known_event_still_under_way_is_acknowledged_with_its_first(log):
    """Repeating what is not stored yet waits for it."""
    log.begin(ALICE, "run-1")
    log.submit(ALICE, deltas(1, 2), attempt=1)
    assert 2 == (await log.append(ALICE, deltas(1, 2), attempt=1)).seq
    assert [1, 2] == seqs(await read_all(log))


async def test_a_cancelled_append_is_repeated_without_harm(log):
    """The outcome of a cancelled append is unknown; the same ordinals again make it certain."""
    log.begin(ALICE, "run-1")
    for first in range(1, 41, 4):
        task = asyncio.ensure_future(log.append(ALICE, deltas(first, 4), attempt=1))
        if first % 8 == 1:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await log.append(ALICE, deltas(first, 4), attempt=1)
    assert [f"piece {n}" for n in range(1, 41)] == texts((await log.read(ALICE)).events)


async def test_one_cancelled_append_leaves_its_neighbours(log):
    """Appends stored together are acknowledged each for itself."""
    for name in ("a", "b", "c"):
        log.begin(ALICE, name)
    tasks = [asyncio.ensure_future(log.append(ALICE, deltas(1, 2, name), attempt=1)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [2, 6] == [results[0].seq, results[2].seq]
    assert 6 == len(await read_all(log))


async def test_many_writers_at_once_leave_no_hole(log):
    """Fifty runs that write to five threads at the same time: every thread is dense, every run in order."""
    keys = [ThreadKey(f"user-{n}", "t") for n in range(5)]

    async def write(number: int) -> None:
        key, run_id = keys[number % 5], f"run-{number}"
        log.begin(key, run_id)
        for first in range(1, 20, 3):
            await log.append(key, deltas(first, 3, run_id), attempt=1)
            await asyncio.sleep(0)
        await log.append(key, [ending(22, run_id)], attempt=1)

    await asyncio.gather(*[write(number) for number in range(50)])
    for key in keys:
        events = await read_all(log, key)
        assert list(range(1, 221)) == seqs(events)
        for run_id in {event.run_id for event in events}:
            assert list(range(1, 23)) == [event.run_seq for event in events if event.run_id == run_id]


# ------------------------------------------------------------------------ runs


async def test_a_run_must_have_begun(log):
    """Events of a run nobody began, or began in another thread, are refused."""
    with pytest.raises(UnknownRun):
        await log.append(ALICE, deltas(1, 1), attempt=1)
    log.begin(ALICE, "run-1")
    with pytest.raises(UnknownRun):
        await log.append(OTHER, deltas(1, 1), attempt=1)
    assert [] == await read_all(log, OTHER)


@pytest.mark.parametrize("state", ["begun", "open", "ended"])
async def test_a_run_id_is_used_once(log, state):
    """A second run of an id is refused, whether the first is open or ended, and told what it is."""
    log.begin(ALICE, "run-1", agent_name="writer", message="hello", idempotency_key="k")
    if state != "begun":
        await log.append(ALICE, deltas(1, 1), attempt=1)
    if state == "ended":
        await log.append(ALICE, [ending(2)], attempt=1)
    with pytest.raises(RunConflict) as refused:
        log.begin(ALICE, "run-1")
    record = refused.value.record
    assert (RunStatus.COMPLETED if state == "ended" else None, "writer", "k") == (
        record.status,
        record.agent_name,
        record.idempotency_key,
    )
    with pytest.raises(RunConflict):
        log.begin(OTHER, "run-1")


async def test_two_users_may_use_one_run_id(log):
    """A run belongs to its user."""
    await store(log, deltas(1, 2))
    await store(log, deltas(1, 3), BOB)
    await log.append(BOB, [ending(4)], attempt=1)
    assert (None, RunStatus.COMPLETED) == (
        (await log.run("alice", "run-1")).status,
        (await log.run("bob", "run-1")).status,
    )
    assert ([1, 2], [1, 2, 3, 4]) == (seqs(await read_all(log)), seqs(await read_all(log, BOB)))


async def test_an_ended_run_accepts_nothing_more(log):
    """After the terminal event nothing of the run is stored."""
    head = await finished_run(log, "run-1", 1)
    for late in (deltas(4, 1), [ending(4)], [*deltas(3, 1), *deltas(4, 1)]):
        with pytest.raises(StaleAttempt) as refused:
            await log.append(ALICE, late, attempt=1)
        assert RunStatus.COMPLETED == refused.value.status
    assert head == log.head(ALICE)


async def test_nothing_follows_a_terminal_that_is_under_way(log):
    """A run is over from the moment its end is handed over."""
    log.begin(ALICE, "run-1")
    end = asyncio.ensure_future(log.append(ALICE, [ending(1)], attempt=1))
    await asyncio.sleep(0)
    with pytest.raises(StaleAttempt):
        log.submit(ALICE, deltas(2, 1), attempt=1)
    assert 1 == (await end).seq
    assert [1] == seqs(await read_all(log))


async def test_an_attempt_that_was_taken_over_must_stop(log):
    """A takeover raises the attempt; the old one is refused, the new one goes on where the run stands."""
    assert 1 == log.begin(ALICE, "run-1")
    await log.append(ALICE, deltas(1, 2), attempt=1)
    assert 2 == log.begin(ALICE, "run-1", takeover=True)
    for stale in (1, 3):
        with pytest.raises(StaleAttempt) as refused:
            await log.append(ALICE, deltas(3, 1), attempt=stale)
        assert (stale, 2, None) == (refused.value.attempt, refused.value.current, refused.value.status)
    await log.append(ALICE, deltas(1, 3), attempt=2)
    assert (2, [1, 2, 3]) == ((await log.run("alice", "run-1")).attempt, seqs(await read_all(log)))


async def test_only_an_open_run_of_the_thread_is_taken_over(log):
    """An ended run stays ended, and a run stays in its thread; an unknown one begins."""
    assert 1 == log.begin(OTHER, "fresh", takeover=True)
    await finished_run(log, "done", 1)
    for key, run_id in ((ALICE, "done"), (ALICE, "fresh")):
        with pytest.raises(RunConflict):
            log.begin(key, run_id, takeover=True)


async def test_begin_run_is_begin_for_who_awaits(log):
    """Both register the same run."""
    assert 1 == await log.begin_run(ALICE, "run-1", message="hello")
    with pytest.raises(RunConflict):
        log.begin(ALICE, "run-1")


async def test_a_record_tells_of_its_run(log):
    """A record has what the run began with, and what its end said."""
    before = time.time()
    log.begin(ALICE, "run-1", agent_name="writer", message="hällo", idempotency_key="k-1")
    record = await log.run("alice", "run-1")
    assert (ALICE, "run-1", "writer", 1, None, "hällo", "k-1") == (
        record.key,
        record.run_id,
        record.agent_name,
        record.attempt,
        record.status,
        record.message,
        record.idempotency_key,
    )
    assert before <= record.started_at <= time.time()
    assert (None, None) == (record.ended_at, record.outcome)
    end = ending(2, status="timed_out")
    await log.append(ALICE, [*deltas(1, 1), end], attempt=1)
    ended = await log.run("alice", "run-1")
    assert (RunStatus.TIMED_OUT, end.timestamp, "timed_out") == (ended.status, ended.ended_at, ended.outcome["status"])
    assert (record.started_at, "hällo", end.raw) == (ended.started_at, ended.message, ended.ending)


async def test_runs_are_listed_newest_first(log):
    """Lists of runs: of all or of one user, open or ended or both, the newest first."""
    await finished_run(log, "a", 0)
    await store(log, deltas(1, 1, "b"))
    await finished_run(log, "c", 0, BOB)
    log.begin(OTHER, "d")
    log.begin(OTHER, "e")
    await log.append(OTHER, deltas(1, 1, "e"), attempt=1)

    async def listed(**options) -> str:
        return "".join([record.run_id for record in await log.runs(**options)])

    assert ("edcba", "edb", "ca") == (await listed(), await listed(open=True), await listed(open=False))
    assert ("edba", "c", "") == (await listed(user_id="alice"), await listed(user_id="bob"), await listed(user_id="x"))
    assert ("e", "ed", "ed") == (
        await listed(limit=1),
        await listed(limit=2),
        await listed(open=True, user_id="alice", limit=2),
    )


async def test_recent_runs_are_what_a_conversation_was(log):
    """The ended runs of one thread, oldest first, the newest if there are more."""
    for name in "abc":
        await finished_run(log, name, 1)
    await finished_run(log, "elsewhere", 1, OTHER)
    await store(log, deltas(1, 1, "open"))
    assert ["a", "b", "c"] == [record.run_id for record in log.recent(ALICE, 10)]
    assert ["b", "c"] == [record.run_id for record in log.recent(ALICE, 2)]
    assert {"completed"} == {record.outcome["status"] for record in log.recent(ALICE, 2)}
    assert [] == log.recent(ThreadKey("alice", "none"), 2)


# ------------------------------------------------------------------- following


async def follow(log: EventLog, after: Position | None = None, key: ThreadKey = ALICE) -> AsyncIterator[Event | Reset]:
    """A live follower as a generator, so that a test can close it."""
    async for item in log.follow(key, after, live=True):
        yield item


async def test_a_live_follower_gets_what_comes(log):
    """Events stored before and after a follower began reach it once, in order."""
    await store(log, deltas(1, 2))
    async with aclosing(follow(log)) as items:
        got = [await soon(anext(items)) for _ in range(2)]
        for first in (3, 4, 5):
            waiting = asyncio.ensure_future(anext(items))
            await asyncio.sleep(0)
            await log.append(ALICE, deltas(first, 1), attempt=1)
            got.append(await soon(waiting))
    assert [1, 2, 3, 4, 5] == seqs(got)


async def test_a_follower_that_is_not_live_stops_at_the_head(log):
    """Without `live` a follower ends where the thread ends now, and goes on from its position later."""
    await store(log, deltas(1, 2))
    follower = log.follow(ALICE, live=False)
    assert [1, 2] == seqs([item async for item in follower])
    await log.append(ALICE, deltas(3, 1), attempt=1)
    assert [3] == seqs(await read_all(log, after=follower.position))


async def test_a_follower_may_be_there_before_its_thread(log):
    """Waiting for a thread that does not exist yet ends with its first event."""
    async with aclosing(follow(log)) as items:
        waiting = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        await store(log, deltas(1, 1))
        assert 1 == (await soon(waiting)).seq


async def test_many_followers_of_a_thread_get_all_of_it(log):
    """Each reader has its own position."""

    async def read(count: int) -> list[Event | Reset]:
        async with aclosing(follow(log)) as items:
            return [await anext(items) for _ in range(count)]

    readers = [asyncio.ensure_future(read(count)) for count in (10, 20, 30)]
    await asyncio.sleep(0)
    log.begin(ALICE, "run-1")
    for first in range(1, 31):
        await log.append(ALICE, deltas(first, 1), attempt=1)
    assert [list(range(1, n + 1)) for n in (10, 20, 30)] == [seqs(await soon(reader)) for reader in readers]


async def test_a_follower_is_told_of_what_is_gone(log):
    """A follower behind what is kept gets a reset with the critical events, then all that is kept."""
    await store(log, [draft("agent_started", 1), *deltas(2, 2), draft("tool_executing", 4), ending(5)])
    await store(log, deltas(1, 2, "open"))
    await log.trim(time.time() + LATER)
    reset, *rest = await read_all(log, after=Position(log.epoch, 2))
    assert (ALICE, Position(log.epoch, 5), "gap") == (reset.key, reset.position, reset.reason)
    assert ["agent_started", "tool_executing", "agent_completed"] == [event.type for event in reset.snapshot]
    assert [1, 4, 5] == seqs(reset.snapshot)
    assert [6, 7] == seqs(rest)


@pytest.mark.parametrize(("epoch", "seq", "reason"), [("another", 1, "epoch_changed"), (None, 99, "ahead")])
async def test_a_follower_of_another_history_starts_over(log, epoch, seq, reason):
    """A position that cannot be gives a reset, then everything that is kept."""
    await store(log, deltas(1, 3))
    reset, *rest = await read_all(log, after=Position(epoch or log.epoch, seq))
    assert (reason, Position(log.epoch, 0), ()) == (reset.reason, reset.position, reset.snapshot)
    assert [1, 2, 3] == seqs(rest)


async def test_waiting_ends_at_once_if_there_is_more(log):
    """`changed` does not wait for what is there already."""
    await store(log, deltas(1, 2))
    await soon(log.changed(ALICE, 1))
    later = asyncio.ensure_future(log.changed(ALICE, 2))
    assert (set(), {later}) == await asyncio.wait((later,), timeout=0.05)
    later.cancel()


async def test_text_does_not_wake_who_waits_for_what_may_not_wait(log):
    """With `critical` pieces of text leave a reader asleep; another event wakes it, and so does `wake`."""
    await store(log, deltas(1, 2))
    await soon(log.changed(ALICE, 1, critical=True))
    patient = asyncio.ensure_future(log.changed(ALICE, 2, critical=True))
    any_news = asyncio.ensure_future(log.changed(ALICE, 2))
    await asyncio.sleep(0)
    await log.append(ALICE, deltas(3, 2), attempt=1)
    await soon(any_news)
    assert not patient.done()
    await log.append(ALICE, [draft("agent_thinking", 5)], attempt=1)
    await soon(patient)
    woken = asyncio.ensure_future(log.changed(ALICE, 5, critical=True))
    await asyncio.sleep(0)
    log.wake(ALICE)
    await soon(woken)


async def test_waking_lets_a_reader_look_again(log):
    """`wake` ends the waiting of one thread's readers."""
    waiting = [asyncio.ensure_future(log.changed(key, 0)) for key in (ALICE, OTHER)]
    await asyncio.sleep(0)
    log.wake(ALICE)
    log.wake(ThreadKey("alice", "nobody waits"))
    await soon(waiting[0])
    assert not waiting[1].done()
    waiting[1].cancel()


# ------------------------------------------------------------------- retention


async def test_nothing_is_trimmed_before_its_time(open_log):
    """Events stay for their retention after the run ended, and while it is open."""
    log = await open_log(retention_s=600.0)
    await finished_run(log, "old", 2)
    await store(log, deltas(1, 2, "open"))
    assert 0 == await log.trim()
    assert 0 == await log.trim(time.time() + 590)
    assert 6 == len(await read_all(log))
    assert 4 == await log.trim(time.time() + 610)
    assert 0 == await log.trim(time.time() + LATER)


async def test_an_open_run_keeps_what_stands_after_it(log):
    """Only a dense beginning of a thread goes: events behind those of an open run stay until it has ended."""
    await store(log, deltas(1, 2, "open"))
    await finished_run(log, "done", 1)
    assert 0 == await log.trim(time.time() + LATER)
    assert [1, 2, 3, 4, 5] == seqs(await read_all(log))
    await log.append(ALICE, [ending(3, "open")], attempt=1)
    assert 6 == await log.trim(time.time() + LATER)


async def test_a_thread_has_a_longest_length(open_log):
    """Beyond the cap of a thread its oldest events go, even of an open run; the critical ones stay readable."""
    log = await open_log(max_events_per_thread=100)
    await store(log, [draft("agent_started", 1), *deltas(2, 299)])
    await log.trim()
    page = await log.read(ALICE, Position(log.epoch, log.head(ALICE).seq - 100))
    assert ("ok", 100) == (page.status, len(page.events))
    assert 300 - 125 <= page.floor <= 200
    assert "gap" == (await log.read(ALICE, Position(log.epoch, page.floor - 1))).status
    assert [1] == seqs(await log.snapshot(ALICE, page.floor))
    assert 301 == (await log.append(ALICE, deltas(301, 1), attempt=1)).seq


async def test_a_record_outlives_its_events(open_log):
    """Critical events stay with the run's record, and go with it; then the thread is forgotten."""
    log = await open_log(retention_s=10.0, run_retention_s=100.0)
    head = await finished_run(log, "run-1", 3)
    await log.trim(time.time() + 50)
    record = await log.run("alice", "run-1")
    assert (RunStatus.COMPLETED, "completed") == (record.status, record.outcome["status"])
    assert ["run-1"] == [record.run_id for record in log.recent(ALICE, 5)]
    assert [1, 5] == seqs(await log.snapshot(ALICE, 5))
    with pytest.raises(RunConflict):
        log.begin(ALICE, "run-1")
    await log.trim(time.time() + 150)
    assert (None, [], [], ()) == (
        await log.run("alice", "run-1"),
        await log.runs(),
        log.recent(ALICE, 5),
        await log.snapshot(ALICE, 5),
    )
    assert "epoch_changed" == (await log.read(ALICE, head)).status


async def test_a_forgotten_thread_never_repeats_a_position(open_log):
    """A thread that is made again after it was forgotten has other positions."""
    log = await open_log(retention_s=10.0, run_retention_s=100.0)
    first = await finished_run(log, "run-1", 3)
    kept = await finished_run(log, "kept", 1, BOB)
    await log.append(BOB, [], attempt=1)
    await store(log, deltas(1, 1, "open"), BOB)
    await log.trim(time.time() + 150)
    second = await finished_run(log, "run-1", 3)
    assert (first.seq, True) == (second.seq, first.epoch != second.epoch)
    assert "epoch_changed" == (await log.read(ALICE, first)).status
    assert [5] == seqs(await read_all(log, after=Position(second.epoch, 4)))
    assert ("ok", kept.epoch) == ((await log.read(BOB, kept)).status, log.head(BOB).epoch)


async def test_an_erased_thread_is_gone(log):
    """`drop` erases events and records; who comes back with an old position is told."""
    head = await finished_run(log, "run-1", 100)
    await finished_run(log, "run-1", 1, BOB)
    await log.drop(ALICE)
    assert ([], None, []) == (await read_all(log), await log.run("alice", "run-1"), log.recent(ALICE, 5))
    assert "epoch_changed" == (await log.read(ALICE, head)).status
    assert 3 == len(await read_all(log, BOB))
    assert 3 == (await finished_run(log, "run-1", 1)).seq


async def test_a_thread_in_use_is_not_erased(log):
    """An open run keeps its thread, begun or writing."""
    log.begin(ALICE, "run-1")
    for first in (1, 2):
        with pytest.raises(RunConflict):
            await log.drop(ALICE)
        await log.append(ALICE, deltas(first, 1), attempt=1)
    await log.append(ALICE, [ending(3)], attempt=1)
    await log.drop(ALICE)
    await log.drop(ThreadKey("alice", "never was"))
    assert [] == await log.runs()


async def test_erasing_wakes_who_waits(log):
    """A follower of an erased thread is told, and goes on with what comes after."""
    await finished_run(log, "run-1", 1)
    async with aclosing(follow(log)) as items:
        assert [1, 2, 3] == seqs([await soon(anext(items)) for _ in range(3)])
        waiting = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        await log.drop(ALICE)
        assert "epoch_changed" == (await soon(waiting)).reason
        await store(log, deltas(1, 1, "run-2"))
        assert 1 == (await soon(anext(items))).seq


# --------------------------------------------------------------------- closing


async def test_a_closed_log_refuses(log):
    """After `aclose` every call says so, and closing again is harmless."""
    await store(log, deltas(1, 1))
    waiting = asyncio.ensure_future(anext(log.follow(ALICE, log.head(ALICE))))
    await asyncio.sleep(0)
    await log.aclose()
    await log.aclose()
    with pytest.raises(ClosedError):
        await soon(waiting)
    with pytest.raises(ClosedError):
        await log.changed(ALICE, 1)
    with pytest.raises(ClosedError):
        log.begin(ALICE, "run-2")
    with pytest.raises(ClosedError):
        log.submit(ALICE, deltas(2, 1), attempt=1)
    with pytest.raises(ClosedError):
        await log.append(ALICE, deltas(2, 1), attempt=1)
    with pytest.raises(ClosedError):
        await log.read(ALICE)
    with pytest.raises(ClosedError):
        await read_all(log)
