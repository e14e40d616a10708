"""A run's stream: exactly its events, live, and what happens when its reader leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes import ALICE, check_thread, context_of, events_of, types_of, until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.eventlog.base import Reset
from ssot_engine.events import Event, Position, RunStatus, ThreadKey


@agent("counts")
async def counts(run: RunContext) -> AsyncIterator[str]:
    """Thinks as often as it is told, and lets others run in between."""
    for number in range(int(run.message)):
        run.emit.thinking(str(number))
        await asyncio.sleep(0)
    yield "end"


async def collect(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]


async def test_a_stream_has_exactly_its_runs_events_the_last_one_last(start: Start) -> None:
    """Two runs in one thread at once: each stream tells only its own, densely; then it ends, and stays ended."""
    container = await start(counts)
    async with container.engine_factory().engine_for(context_of()) as engine:
        streams = [engine.stream("counts", "20") for _ in range(2)]
        told = await asyncio.gather(*(collect(stream) for stream in streams))
        for stream, events in zip(streams, told, strict=True):
            assert {stream.run_id} == {event.run_id for event in events}
            assert list(range(1, 24)) == [event.run_seq for event in events]
            assert "agent_completed" == events[-1].type
            assert [] == [event async for event in stream]
            assert RunStatus.COMPLETED == (await stream.result()).status
    check_thread(events_of(container.event_log()))


async def gather_events(follower: AsyncIterator[Event], run_id: str) -> list[Event]:
    events = []
    async for event in follower:
        events.append(event)
        if event.type == "agent_completed" and event.run_id == run_id:
            break
    return events


async def test_readers_that_come_in_the_middle_see_the_same(start: Start) -> None:
    """20 readers from the beginning and one from event 5 read one order; another user reads nothing of it."""
    container = await start(counts)
    log = container.event_log()
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("counts", "50")
        await until(lambda: len(events_of(log)) > 10)
        epoch = log.head(ALICE).epoch
        told = await asyncio.gather(
            *(gather_events(log.follow(ALICE, None), stream.run_id) for _ in range(20)),
            gather_events(log.follow(ALICE, Position(epoch, 5)), stream.run_id),
        )
    assert all(list(range(1, 54)) == [event.seq for event in events] for events in told[:-1])
    assert list(range(6, 54)) == [event.seq for event in told[-1]]
    other = ThreadKey("bob", "t-1")
    assert [] == [event async for event in log.follow(other, None, live=False)]


async def test_a_bare_break_only_stops_reading(start: Start) -> None:
    """The run goes on after the loop was left, and its end is the scope's."""
    closed: list[str] = []

    @agent("agent")
    async def tidy(run: RunContext) -> AsyncIterator[str]:
        try:
            while True:
                run.emit.thinking("more")
                await asyncio.sleep(0.001)
                yield "x"
        finally:
            closed.append(run.run_id)

    container = await start(tidy)
    async with container.engine_factory().engine_for(context_of()) as engine:
        async for event in engine.stream("agent", "go"):
            if event.type == "agent_thinking":
                break
        count = len(events_of(container.event_log()))
        await until(lambda: len(events_of(container.event_log())) > count)
        assert [] == closed
    assert ["run-1"] == closed
    check_thread(events_of(container.event_log()))


async def test_leaving_the_block_after_the_end_changes_nothing(start: Start) -> None:
    """`async with` around a stream that was read to its end leaves the status alone."""
    container = await start(counts)
    async with container.engine_factory().engine_for(context_of()) as engine:
        async with engine.stream("counts", "1") as stream:
            events = [event async for event in stream]
        assert "completed" == events[-1].payload["status"]
        assert RunStatus.COMPLETED == (await stream.result()).status


async def test_an_error_in_the_block_cancels_the_run_and_is_raised(start: Start) -> None:
    """A reader that fails does not leave its run behind."""
    container = await start(counts)
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("counts", "100000")

        async def read() -> None:
            async with stream:
                async for _ in stream:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await read()
        assert RunStatus.CANCELLED == (await stream.result()).status


async def test_a_reader_slower_than_retention_meets_a_reset_then_the_rest(start: Start) -> None:
    """An agent that never waits overruns what is kept: the stream says so in place of what is gone, and ends."""

    @agent("agent")
    async def hurries(run: RunContext) -> str:
        for number in range(60):
            run.emit.thinking(str(number))
        return "done"

    container = await start(hurries, events={"max_events_per_thread": 20})
    async with container.engine_factory().engine_for(context_of()) as engine:
        items = [item async for item in engine.stream("agent", "go")]
    (reset,) = [item for item in items if isinstance(item, Reset)]
    assert "gap" == reset.reason
    rest = [item for item in items[items.index(reset) :] if isinstance(item, Event)]
    assert [event.seq for event in rest] == list(range(reset.position.seq + 1, 63))
    assert "agent_completed" == items[-1].type
    # Critical events are kept beyond retention, so nothing of these is lost.
    assert "agent_started" == reset.snapshot[0].type


async def test_a_stream_ends_although_its_last_event_is_past_retention(start: Start) -> None:
    """A later run pushed the end out of the thread: the reset carries it, and the stream is over."""
    container = await start(counts, events={"max_events_per_thread": 10})
    async with container.engine_factory().engine_for(context_of()) as engine:
        stream = engine.stream("counts", "1")
        await stream.result()
        await engine.run("counts", "60")
        async with asyncio.timeout(1):
            items = [item async for item in stream]
    (reset,) = items
    assert isinstance(reset, Reset)
    assert "agent_completed" in types_of(event for event in reset.snapshot if event.run_id == stream.run_id)
