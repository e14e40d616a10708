"""The event log in this process's memory: the library's default, gone when the process ends."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from itertools import islice

import msgspec

from ssot_engine.errors import ClosedError, RunConflict, StaleAttempt, UnknownRun
from ssot_engine.eventlog.base import (
    PAGE_SIZE,
    Ack,
    Draft,
    EventLog,
    Page,
    RunRecord,
    Waiters,
    ending_status,
    is_terminal,
    page_status,
)
from ssot_engine.events import CRITICAL, Event, Position, RunStatus, ThreadKey

#: What an event, and a run's record, cost in memory beside their texts, in bytes.
EVENT_OVERHEAD = 300
RUN_OVERHEAD = 900


class RunRow:
    """A run as the log keeps it: its record's fields, the ordinal of its newest event, and what retention spared."""

    __slots__ = (
        "agent_name", "attempt", "ended_at", "ending", "idempotency_key", "kept", "message", "ordinal", "run_id",
        "settled", "started_at", "status", "thread",
    )  # fmt: skip

    def __init__(
        self, thread: Thread, run_id: str, agent_name: str, message: str, idempotency_key: str | None, now: float
    ) -> None:
        self.thread = thread
        self.run_id = run_id
        self.agent_name = agent_name
        self.message = message
        self.idempotency_key = idempotency_key
        self.attempt = 1
        self.status: RunStatus | None = None
        self.started_at = now
        self.ended_at: float | None = None
        self.ending: msgspec.Raw | None = None
        self.ordinal = 0
        #: Past its retention: its events may leave the thread.
        self.settled = False
        #: Critical events of this run that left the thread.
        self.kept: list[Event] = []

    def record(self) -> RunRecord:
        """The row as a value."""
        return RunRecord(
            key=self.thread.key,
            run_id=self.run_id,
            agent_name=self.agent_name,
            attempt=self.attempt,
            status=self.status,
            started_at=self.started_at,
            ended_at=self.ended_at,
            message=self.message,
            idempotency_key=self.idempotency_key,
            ending=self.ending,
        )


class Thread:
    """A thread's events still kept, oldest first; `floor` is the seq before the first of them."""

    __slots__ = ("epoch", "events", "floor", "head", "key", "runs", "waiters")

    def __init__(self, key: ThreadKey, epoch: str) -> None:
        self.key = key
        self.epoch = epoch
        self.events: list[Event] = []
        self.floor = 0
        self.head = 0
        self.runs: dict[str, RunRow] = {}
        self.waiters = Waiters()

    @property
    def is_idle(self) -> bool:
        """Nothing is kept of it and nobody waits for it."""
        return not (self.runs or self.events or self.waiters.are_there)


class MemoryEventLog(EventLog):
    """Keeps events until retention, per thread and in all, lets them go.

    An ended run's events stay `retention_s` seconds, at most `max_events_per_thread` of a thread; then its critical
    events stay with its record for `run_retention_s`. `max_bytes` bounds all of it: the oldest ended runs go first.
    """

    def __init__(
        self,
        *,
        retention_s: float = 600.0,
        max_events_per_thread: int = 10_000,
        max_bytes: int = 268_435_456,
        run_retention_s: float = 604_800.0,
    ) -> None:
        self.url = "memory://"
        self.epoch = secrets.token_hex(6)
        self.size_bytes = 0
        self._retention_s = retention_s
        self._max_events = max_events_per_thread
        #: How long a thread may grow before it is cut back: not at every event.
        self._most_events = max_events_per_thread + (max_events_per_thread >> 2)
        self._max_bytes = max_bytes
        self._run_retention_s = run_retention_s
        self._threads: dict[ThreadKey, Thread] = {}
        self._runs: dict[tuple[str, str], RunRow] = {}
        #: Ended runs whose events are still in their thread, and those whose record alone is kept; oldest first.
        self._ended: OrderedDict[tuple[str, str], RunRow] = OrderedDict()
        self._settled: OrderedDict[tuple[str, str], RunRow] = OrderedDict()
        self._generation = 0
        self._closed = False

    # ------------------------------------------------------------------ writing

    def begin(
        self,
        key: ThreadKey,
        run_id: str,
        *,
        agent_name: str = "",
        message: str = "",
        idempotency_key: str | None = None,
        takeover: bool = False,
    ) -> int:
        if self._closed:
            raise self._is_closed()
        name = (key.user_id, run_id)
        row = self._runs.get(name)
        if row is not None:
            if takeover and row.status is None and row.thread.key == key:
                row.attempt += 1
                return row.attempt
            raise RunConflict(run_id, row.record())
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = Thread(key, self._thread_epoch())
        row = RunRow(thread, run_id, agent_name, message, idempotency_key, time.time())
        thread.runs[run_id] = self._runs[name] = row
        self.size_bytes += RUN_OVERHEAD + len(message)
        return 1

    def submit(self, key: ThreadKey, drafts: Sequence[Draft], *, attempt: int) -> Ack:
        if self._closed:
            raise self._is_closed()
        if not drafts:
            return None
        user_id, thread_id = key
        run_id = drafts[0].run_id
        row = self._runs.get((user_id, run_id))
        if row is None or row.thread.key != key:
            raise UnknownRun(run_id)
        if attempt != row.attempt or (row.status is not None and drafts[-1].run_seq > row.ordinal):
            raise StaleAttempt(row.run_id, attempt, row.attempt, row.status)
        thread, known, events = row.thread, row.ordinal, row.thread.events
        for draft in drafts:
            ordinal, raw = draft.run_seq, draft.raw
            if ordinal <= known:
                continue
            row.ordinal = ordinal
            thread.head = seq = thread.head + 1
            events.append(
                Event(
                    draft.type,
                    thread_id,
                    run_id,
                    user_id,
                    draft.agent_name,
                    thread.epoch,
                    seq,
                    ordinal,
                    draft.span,
                    draft.parent,
                    draft.timestamp,
                    raw,
                )
            )
            self.size_bytes += len(raw) + EVENT_OVERHEAD
        if row.ordinal > known and is_terminal(draft):
            self._end(row, draft)
        if len(events) > self._most_events:
            self._forget_before(thread, len(events) - self._max_events)
        if self.size_bytes > self._max_bytes:
            self._evict()
        waiters = thread.waiters
        if waiters.asleep or waiters.patient:
            waiters.tell(drafts)
        return None

    def _end(self, row: RunRow, draft: Draft) -> None:
        row.status = ending_status(draft.raw)
        row.ended_at = draft.timestamp
        row.ending = draft.raw
        self._ended[row.thread.key.user_id, row.run_id] = row

    # ------------------------------------------------------------------ reading

    def head(self, key: ThreadKey) -> Position:
        thread = self._threads.get(key)
        return Position(self._thread_epoch(), 0) if thread is None else Position(thread.epoch, thread.head)

    def read_now(self, key: ThreadKey, after: Position | None, limit: int = PAGE_SIZE) -> Page:
        if self._closed:
            raise self._is_closed()
        thread = self._threads.get(key)
        if thread is None:
            epoch = self._thread_epoch()
            return Page(page_status(after, epoch, 0, 0), (), epoch, 0, 0)
        floor, head = thread.floor, thread.head
        status = page_status(after, thread.epoch, floor, head)
        if status != "ok":
            return Page(status, (), thread.epoch, floor, head)
        start = 0 if after is None else after.seq - floor
        return Page("ok", thread.events[start : start + limit], thread.epoch, floor, head)

    async def snapshot(self, key: ThreadKey, upto: int) -> tuple[Event, ...]:
        thread = self._threads.get(key)
        if thread is None:
            return ()
        kept = [event for row in thread.runs.values() for event in row.kept if event.seq <= upto]
        kept += [event for event in islice(thread.events, max(0, upto - thread.floor)) if event.type in CRITICAL]
        return tuple(sorted(kept, key=lambda event: event.seq))

    def changed(self, key: ThreadKey, seen: int, *, critical: bool = False) -> Awaitable[None]:
        if self._closed:
            raise self._is_closed()
        thread = self._threads.get(key)
        if thread is None:
            thread = self._threads[key] = Thread(key, self._thread_epoch())
        waiter = thread.waiters.add(self.loop, critical=critical)
        if thread.head > seen:
            waiter.set_result(None)
        return waiter

    def wake(self, key: ThreadKey) -> None:
        thread = self._threads.get(key)
        if thread is not None:
            thread.waiters.wake()

    async def run(self, user_id: str, run_id: str) -> RunRecord | None:
        row = self._runs.get((user_id, run_id))
        return None if row is None else row.record()

    async def runs(
        self, *, open: bool | None = None, user_id: str | None = None, limit: int = PAGE_SIZE
    ) -> list[RunRecord]:
        rows = (
            row
            for (owner, _), row in reversed(self._runs.items())
            if (user_id is None or owner == user_id) and (open is None or open == (row.status is None))
        )
        return [row.record() for row in islice(rows, limit)]

    def recent(self, key: ThreadKey, limit: int) -> list[RunRecord]:
        thread = self._threads.get(key)
        if thread is None:
            return []
        ended = [row for row in reversed(thread.runs.values()) if row.status is not None]
        return [row.record() for row in reversed(ended[:limit])]

    # ---------------------------------------------------------------- retention

    async def trim(self, now: float | None = None) -> int:
        now = time.time() if now is None else now
        gone = 0
        while (row := _oldest(self._ended)) is not None and _ended_at(row) <= now - self._retention_s:
            gone += self._settle(row)
        while (row := _oldest(self._settled)) is not None and _ended_at(row) <= now - self._run_retention_s:
            self._forget_run(row)
        gone += self._evict()
        self._forget_idle_threads()
        return gone

    def _evict(self) -> int:
        """Down to the byte cap, oldest ended runs first: records of settled runs, then runs still in their thread."""
        gone = 0
        while self.size_bytes > self._max_bytes:
            if (row := _oldest(self._settled)) is not None:
                self._forget_run(row)
            elif (row := _oldest(self._ended)) is not None:
                gone += self._settle(row)
            else:
                break
        return gone

    def _settle(self, row: RunRow) -> int:
        """A run's events leave the thread, as far as nothing unsettled stands before them; how many went."""
        row.settled = True
        thread = row.thread
        name = (thread.key.user_id, row.run_id)
        self._settled[name] = self._ended.pop(name)
        count = 0
        for event in thread.events:
            run = thread.runs.get(event.run_id)
            if run is not None and not run.settled:
                break
            count += 1
        self._forget_before(thread, count)
        return count

    def _forget_before(self, thread: Thread, count: int) -> None:
        """Let the thread's first `count` events go; critical ones stay with their run."""
        for event in islice(thread.events, count):
            run = thread.runs.get(event.run_id)
            if run is not None and event.type in CRITICAL:
                run.kept.append(event)
            else:
                self.size_bytes -= len(event.raw) + EVENT_OVERHEAD
        thread.floor += count
        del thread.events[:count]

    def _forget_run(self, row: RunRow) -> None:
        thread = row.thread
        name = (thread.key.user_id, row.run_id)
        del self._runs[name], thread.runs[row.run_id]
        (self._settled if row.settled else self._ended).pop(name, None)
        self.size_bytes -= RUN_OVERHEAD + len(row.message) + _size(row.kept)

    def _forget_idle_threads(self) -> None:
        """Threads with nothing left go; whoever comes back with a position of one is told by the epoch."""
        idle = [key for key, thread in self._threads.items() if thread.is_idle]
        for key in idle:
            del self._threads[key]
        self._generation += bool(idle)

    def _thread_epoch(self) -> str:
        return f"{self.epoch}.{self._generation}" if self._generation else self.epoch

    async def drop(self, key: ThreadKey) -> None:
        thread = self._threads.get(key)
        if thread is None:
            return
        for row in thread.runs.values():
            if row.status is None:
                raise RunConflict(row.run_id, row.record())
        for row in tuple(thread.runs.values()):
            self._forget_run(row)
        self.size_bytes -= _size(thread.events)
        del self._threads[key]
        self._generation += 1
        thread.waiters.wake()

    async def aclose(self) -> None:
        self._closed = True
        for thread in self._threads.values():
            thread.waiters.wake()

    def _is_closed(self) -> ClosedError:
        return ClosedError(f"event log {self.url!r} is closed; open a container again to use it")


def _size(events: Sequence[Event]) -> int:
    return sum(len(event.raw) + EVENT_OVERHEAD for event in events)


def _oldest(rows: OrderedDict[tuple[str, str], RunRow]) -> RunRow | None:
    return next(iter(rows.values()), None)


def _ended_at(row: RunRow) -> float:
    return row.ended_at or 0.0
