"""What a cursor sends of a thread, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fakes import ALICE, deltas, draft, ending, types_of, until
from ssot_engine.eventlog.base import EventLog
from ssot_engine.eventlog.memory import MemoryEventLog
from ssot_engine.eventlog.sqlite import SqliteEventLog
from ssot_engine.events import Event, Position
from ssot_engine.web.cursors import MAX_BYTES, MAX_EVENTS, ThreadCursor
from ssot_engine.web.deliveries import Deliveries
from ssot_engine.web.frames import Ev, Reset, decode_server

#: No text waits, and none is ever sent before something else comes.
NEVER, ALWAYS = 0.0, 3600.0


class Sent:
    """Takes frames, unless the gate is closed."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, frame: bytes) -> None:
        self.frames.append(frame)
        await self.gate.wait()

    @property
    def events(self) -> list[list[Event]]:
        """The events of each frame."""
        return [list(told.events) for told in map(decode_server, self.frames) if isinstance(told, Ev)]

    @property
    def seqs(self) -> list[int]:
        """All events, as they were sent."""
        return [event.seq for events in self.events for event in events]


@asynccontextmanager
async def reading(
    log: EventLog, after: Position | None = None, coalesce_s: float = NEVER
) -> AsyncIterator[tuple[Sent, Deliveries]]:
    """A cursor at work."""
    sent, deliveries = Sent(), Deliveries(1)
    cursor = ThreadCursor(log, ALICE, after, sent, deliveries, coalesce_s)
    task = asyncio.create_task(cursor.run())
    try:
        yield sent, deliveries
    finally:
        task.cancel()
        await asyncio.wait((task,))


@pytest.fixture
async def log() -> AsyncIterator[MemoryEventLog]:
    log = MemoryEventLog(max_events_per_thread=2000)
    await log.open()
    log.begin(ALICE, "run-1")
    yield log
    await log.aclose()


async def test_what_is_there_and_what_comes_is_sent_in_order(log: MemoryEventLog) -> None:
    """Every event once, from the first on, at most so many in a frame."""
    await log.append(ALICE, deltas(1, MAX_EVENTS + 20), attempt=1)
    async with reading(log) as (sent, deliveries):
        await until(lambda: len(sent.seqs) == MAX_EVENTS + 20)
        await log.append(ALICE, deltas(MAX_EVENTS + 21, 3), attempt=1)
        await log.append(ALICE, [ending(MAX_EVENTS + 24)], attempt=1)
        await until(lambda: len(sent.seqs) == MAX_EVENTS + 24)
        assert list(range(1, MAX_EVENTS + 25)) == sent.seqs
        assert [MAX_EVENTS, 20] == [len(events) for events in sent.events][:2]
        assert (MAX_EVENTS + 24, len(sent.frames)) == (deliveries.events, deliveries.frames)


async def test_a_cursor_goes_on_after_its_position(log: MemoryEventLog) -> None:
    """What was read before is not sent again, and the missed is no lag."""
    await log.append(ALICE, deltas(1, 9), attempt=1)
    async with reading(log, Position(log.epoch, 7)) as (sent, deliveries):
        await until(lambda: sent.seqs == [8, 9])
        assert [] == list(deliveries.lags)
        await log.append(ALICE, [ending(10)], attempt=1)
        await until(lambda: sent.seqs == [8, 9, 10])
        assert 1 == len(deliveries.lags)


async def test_frames_are_bounded_by_bytes(log: MemoryEventLog) -> None:
    """Large events share a frame as far as it holds them; a larger one has its own."""
    text = "x" * (MAX_BYTES // 3)
    sizes = [1, 1, 1, 4, 1]
    events = [draft("message_delta", number, text=text * size) for number, size in enumerate(sizes, 1)]
    await log.append(ALICE, events, attempt=1)
    async with reading(log) as (sent, _):
        await until(lambda: len(sent.seqs) == len(sizes))
        assert [[1, 2], [3], [4], [5]] == [[event.seq for event in events] for events in sent.events]


async def test_text_gathers_and_the_rest_goes_at_once(log: MemoryEventLog) -> None:
    """The first text after silence goes at once; text behind it waits, and goes with what may not wait."""
    async with reading(log, coalesce_s=ALWAYS) as (sent, _):
        await log.append(ALICE, deltas(1, 1), attempt=1)
        await until(lambda: sent.seqs == [1])
        await log.append(ALICE, deltas(2, 1), attempt=1)
        await until(lambda: log._threads[ALICE].waiters.patient)
        await log.append(ALICE, deltas(3, 1), attempt=1)
        await asyncio.sleep(0.02)
        assert [1] == sent.seqs
        await log.append(ALICE, [draft("agent_thinking", 4, reasoning="hm")], attempt=1)
        await until(lambda: len(sent.seqs) == 4)
        assert [[1], [2, 3, 4]] == [[event.seq for event in events] for events in sent.events]
        await log.append(ALICE, [draft("tool_executing", 5, call_id="c")], attempt=1)
        await until(lambda: len(sent.seqs) == 5)


async def test_text_waits_no_longer_than_it_may(log: MemoryEventLog) -> None:
    """With nothing behind it gathered text goes when its time is over."""
    async with reading(log, coalesce_s=0.01) as (sent, _):
        for number in range(1, 4):
            await log.append(ALICE, deltas(number, 1), attempt=1)
            await asyncio.sleep(0)
        await until(lambda: sent.seqs == [1, 2, 3])


async def test_a_reader_that_does_not_read_holds_one_frame(log: MemoryEventLog) -> None:
    """While a frame waits to be taken the log is the buffer: nothing is read ahead."""
    async with reading(log) as (sent, _):
        sent.gate.clear()
        await log.append(ALICE, deltas(1, 1), attempt=1)
        await until(lambda: sent.frames)
        for number in range(2, 30):
            await log.append(ALICE, deltas(number, 1), attempt=1)
            await asyncio.sleep(0)
        assert [1] == sent.seqs
        sent.gate.set()
        await until(lambda: len(sent.seqs) == 29)
        assert 2 == len(sent.frames)


def _gone(log: MemoryEventLog) -> Position:
    return Position(log.epoch, 2)


def _ahead(log: MemoryEventLog) -> Position:
    return Position(log.epoch, 99_999)


def _of_another(log: MemoryEventLog) -> Position:
    return Position("another", 3)


@pytest.mark.parametrize(
    ("position", "reason"),
    [(_gone, "gap"), (_ahead, "ahead"), (_of_another, "epoch_changed"), (lambda _: None, "gap")],
)
async def test_a_position_outside_the_log_is_reset(
    log: MemoryEventLog, position: Callable[[MemoryEventLog], Position | None], reason: str
) -> None:
    """In place of what is gone come the critical events still kept, and all that follows."""
    await log.append(ALICE, [draft("agent_started", 1, message="hi", context={})], attempt=1)
    await log.append(ALICE, deltas(2, 3000), attempt=1)
    page = log.read_now(ALICE, None)
    async with reading(log, position(log)) as (sent, deliveries):
        await until(lambda: len(sent.frames) > 1 and sent.seqs[-1] == 3001)
        told = decode_server(sent.frames[0])
        assert isinstance(told, Reset)
        assert ("t-1", log.epoch, page.floor, reason) == (told.thread, told.epoch, told.seq, told.reason)
        assert ["agent_started"] == types_of(told.snapshot)
        assert list(range(page.floor + 1, 3002)) == sent.seqs
        assert 1 == deliveries.resets


async def test_events_that_are_in_the_file_only_are_sent(tmp_path: Path) -> None:
    """A log that was opened again has nothing in memory."""
    log = SqliteEventLog(tmp_path / "events.db")
    await log.open()
    log.begin(ALICE, "run-1")
    await log.append(ALICE, [*deltas(1, 1200), ending(1201)], attempt=1)
    await log.aclose()
    log = SqliteEventLog(tmp_path / "events.db")
    await log.open()
    async with reading(log) as (sent, _):
        await until(lambda: len(sent.seqs) == 1201)
        assert list(range(1, 1202)) == sent.seqs
    await log.aclose()
