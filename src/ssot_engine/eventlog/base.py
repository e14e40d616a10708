"""The contract of an event log: append-only per thread, read from a position, followed live."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Literal, Self

import msgspec

from ssot_engine.errors import ClosedError
from ssot_engine.events import CRITICAL, Event, Position, RunStatus, ThreadKey

#: How many events a follower reads at a time.
PAGE_SIZE = 1000


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event before the log gives it a place. `run_seq` is its ordinal in the run, from 1: the idempotency key."""

    type: str
    run_id: str
    agent_name: str
    run_seq: int
    span: int
    parent: int | None
    timestamp: float
    raw: msgspec.Raw


class _Ending(msgspec.Struct):
    """The one field of a terminal payload that a log reads."""

    status: RunStatus


_read_ending = msgspec.json.Decoder(_Ending).decode


def is_terminal(draft: Draft) -> bool:
    """Whether this event ends its run."""
    return draft.type == "agent_completed" and draft.span == 0


def is_last(event: Event) -> bool:
    """Whether this event ended its run."""
    return event.type == "agent_completed" and event.span == 0


def ending_status(raw: msgspec.Raw) -> RunStatus:
    """The status in the payload of a terminal event."""
    return _read_ending(raw).status


class RunRecord(msgspec.Struct, frozen=True):
    """What the log knows of a run. An open run has no status; times are seconds since 1970."""

    key: ThreadKey
    run_id: str
    agent_name: str
    attempt: int
    status: RunStatus | None
    started_at: float
    ended_at: float | None
    message: str
    idempotency_key: str | None
    #: The payload of its `agent_completed` as JSON, None while it is open.
    ending: msgspec.Raw | None

    def is_of(self, idempotency_key: str | None) -> bool:
        """Whether it came from the request that this key names."""
        return idempotency_key is not None and self.idempotency_key == idempotency_key

    @property
    def outcome(self) -> dict[str, Any] | None:
        """The payload of its `agent_completed`, None while it is open."""
        return None if self.ending is None else msgspec.json.decode(self.ending)


PageStatus = Literal["ok", "gap", "ahead", "epoch_changed"]


def page_status(after: Position | None, epoch: str, floor: int, head: int) -> PageStatus:
    """What a reader at `after` is told by a thread whose newest gone and newest event are `floor` and `head`."""
    if after is None:
        return "gap" if floor else "ok"
    if after.epoch != epoch:
        return "epoch_changed"
    if after.seq < floor:
        return "gap"
    return "ahead" if after.seq > head else "ok"


class Page(msgspec.Struct, frozen=True):
    """The answer to a read.

    `status` is `ok`; or `gap` (the position is older than what is kept), `ahead` (newer than the newest event) or
    `epoch_changed` (of another history), and then there are no events. `floor` is the seq of the newest event that is
    gone, 0 if none is; `head` the seq of the newest event.
    """

    status: PageStatus
    events: Sequence[Event]
    epoch: str
    floor: int
    head: int


class Reset(msgspec.Struct, frozen=True):
    """Told to a reader in place of events it can no longer have. It goes on from `position`.

    `reason` is the status of the page that caused it. `snapshot` holds the critical events that are still kept of what
    lies at or before `position`, oldest first.
    """

    key: ThreadKey
    position: Position
    reason: str
    snapshot: tuple[Event, ...]


#: From so many on, futures whose reader went away are looked for at each new one.
_CROWD = 16


class Waiters:
    """The readers asleep on one thread, as the futures they await. `patient` are those whom text does not wake."""

    __slots__ = ("asleep", "patient")

    def __init__(self) -> None:
        self.asleep: list[asyncio.Future[None]] = []
        self.patient: list[asyncio.Future[None]] = []

    def add(self, loop: asyncio.AbstractEventLoop, *, critical: bool = False) -> asyncio.Future[None]:
        """A future that the next `wake` sets, and `tell` if it is told of what is waited for."""
        waiting = self.patient if critical else self.asleep
        if len(waiting) >= _CROWD:
            waiting[:] = [future for future in waiting if not future.done()]
        future = loop.create_future()
        waiting.append(future)
        return future

    def tell(self, events: Sequence[Draft | Event]) -> None:
        """There are more events."""
        if self.asleep:
            asleep, self.asleep = self.asleep, []
            _set(asleep)
        if self.patient and any(event.type in CRITICAL for event in events):
            patient, self.patient = self.patient, []
            _set(patient)

    def wake(self) -> None:
        """Let every reader look again."""
        asleep, self.asleep = self.asleep, []
        patient, self.patient = self.patient, []
        _set(asleep)
        _set(patient)

    @property
    def are_there(self) -> bool:
        """Whether anybody waits."""
        return any(not future.done() for waiting in (self.asleep, self.patient) for future in waiting)


def _set(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


Ack = asyncio.Future[None] | None
"""When an append is acknowledged: None says it is already. Several appends may share one future: shield it."""


class EventLog(ABC):
    """Append-only events per thread, the single source of truth of every reader.

    One atomic step stores an append: refuse a stale attempt, suppress events already known, give each the next seq,
    store them with the run's record, wake the readers. An event is acknowledged when the append returns, and visible
    when a reader can get it; neither comes before it is stored.
    """

    #: How the log is named in settings and errors.
    url: str
    #: Changes when events were lost that a reader may have seen.
    epoch: str
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop it serves: the one it was opened on, or else the running one."""
        # Kept, because on Python 3.11 asking for the running loop asks the kernel for the process id.
        return self._loop or asyncio.get_running_loop()

    async def open(self) -> int:
        """Make the log ready. Runs a crash left open are ended as `lost`; how many there were."""
        self._loop = asyncio.get_running_loop()
        return 0

    @abstractmethod
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
        """Register a run of `key.user_id`; its attempt, from 1. With `takeover` an open run goes on at a higher one.

        Raises:
            RunConflict: the user has a run of that id, open or ended.
            LogUnavailable: storage does not answer.
        """

    async def begin_run(
        self,
        key: ThreadKey,
        run_id: str,
        *,
        agent_name: str = "",
        message: str = "",
        idempotency_key: str | None = None,
        takeover: bool = False,
    ) -> int:
        """`begin`, for callers that await."""
        return self.begin(
            key, run_id, agent_name=agent_name, message=message, idempotency_key=idempotency_key, takeover=takeover
        )

    @abstractmethod
    def submit(self, key: ThreadKey, drafts: Sequence[Draft], *, attempt: int) -> Ack:
        """Queue events of one run, in order, without waiting. A terminal event among them ends the run's record.

        It never waits, however much is queued: who submits bounds the bytes it has under way. `append` waits.

        Raises:
            StaleAttempt: the run ended, or a higher attempt took it over.
            UnknownRun: it was never begun in this thread.
            LogUnavailable: storage refused; nothing of the call was kept.
        """

    async def append(self, key: ThreadKey, drafts: Sequence[Draft], *, attempt: int) -> Position:
        """Store events of one run; the position of the last. A cancelled append may have happened: repeat it."""
        ack = self.submit(key, drafts, attempt=attempt)
        position = self.head(key)
        if ack is not None:
            await asyncio.shield(ack)
        return position

    @abstractmethod
    def head(self, key: ThreadKey) -> Position:
        """Where the thread's next event will follow."""

    @abstractmethod
    def read_now(self, key: ThreadKey, after: Position | None, limit: int = PAGE_SIZE) -> Page | None:
        """`read`, if memory can answer; None if storage must."""

    async def read(self, key: ThreadKey, after: Position | None = None, limit: int = PAGE_SIZE) -> Page:
        """At most `limit` events after a position, oldest first; None reads from the beginning.

        Large events make a page shorter; only an empty one says that there are no more.
        """
        page = self.read_now(key, after, limit)
        if page is None:
            raise ClosedError(f"{type(self).__name__} left a read unanswered; it must override read()")
        return page

    @abstractmethod
    async def snapshot(self, key: ThreadKey, upto: int) -> tuple[Event, ...]:
        """The critical events still kept of the thread with a seq of at most `upto`, oldest first."""

    @abstractmethod
    def changed(self, key: ThreadKey, seen: int, *, critical: bool = False) -> Awaitable[None]:
        """To be awaited until the thread may have events after seq `seen`; it may end early, and carries no payload.

        With `critical` text that comes meanwhile does not end it: a reader that gathers text is woken by what may not
        wait, and bounds the time itself.
        """

    @abstractmethod
    def wake(self, key: ThreadKey) -> None:
        """Let everybody who waits for the thread look again."""

    def follow(
        self,
        key: ThreadKey,
        after: Position | None = None,
        *,
        live: bool = True,
        run_id: str | None = None,
        guard: Callable[[], None] | None = None,
    ) -> Follower:
        """Every event after a position, in order, and a `Reset` where some are gone. `live` waits for more.

        With `run_id` only that run's events, ending with its last. `guard` is called before each wait; what it raises
        ends the following.
        """
        return Follower(self, key, after, live, run_id, guard)

    @abstractmethod
    async def run(self, user_id: str, run_id: str) -> RunRecord | None:
        """The record of a user's run; None if there is none, or it is another user's."""

    @abstractmethod
    async def runs(
        self, *, open: bool | None = None, user_id: str | None = None, limit: int = PAGE_SIZE
    ) -> list[RunRecord]:
        """Run records, newest first; `open` keeps those that have not (or have) ended."""

    @abstractmethod
    def recent(self, key: ThreadKey, limit: int) -> list[RunRecord]:
        """The thread's ended runs, oldest first, at most `limit`: what a conversation was."""

    @abstractmethod
    async def trim(self, now: float | None = None) -> int:
        """Let go of what is past its retention; how many events went. `now` is seconds since 1970."""

    @abstractmethod
    async def drop(self, key: ThreadKey) -> None:
        """Erase a thread with its events and run records.

        Raises:
            RunConflict: a run of it is still open.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Store what is queued and let go of everything. Safe to call twice."""


class Follower:
    """A cursor on a thread: reads from its position, sleeps until the thread moves."""

    __slots__ = ("_after", "_guard", "_is_over", "_key", "_last", "_live", "_log", "_run_id", "_unread")

    def __init__(
        self,
        log: EventLog,
        key: ThreadKey,
        after: Position | None,
        live: bool = True,
        run_id: str | None = None,
        guard: Callable[[], None] | None = None,
    ) -> None:
        self._log = log
        self._key = key
        self._after = after
        self._live = live
        self._run_id = run_id
        self._guard = guard
        #: What was read and not yet given; the last one given or passed over.
        self._unread: Iterator[Event] = _NOTHING
        self._last: Event | None = None
        self._is_over = False

    @property
    def position(self) -> Position | None:
        """What a reader that stops here passes as `after` to go on."""
        return self._after if self._last is None else self._last.position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Reset:
        wanted = self._run_id
        while not self._is_over:
            for event in self._unread:
                self._last = event
                if wanted is None:
                    return event
                if event.run_id == wanted:
                    self._is_over = is_last(event)
                    return event
            page = self._read_now()
            if page is None:
                page = await self._log.read(self._key, self._after)
            if page.status != "ok":
                return await self._reset(page)
            if page.events:
                self._unread = iter(page.events)
                continue
            if not self._live:
                break
            self._check()
            head, page = page.head, None
            await self._log.changed(self._key, head)
        raise StopAsyncIteration

    def _read_now(self) -> Page | None:
        """Done with what was read: ask for what comes after it."""
        if self._last is not None:
            self._after, self._last, self._unread = self._last.position, None, _NOTHING
        return self._log.read_now(self._key, self._after)

    def _check(self) -> None:
        """Called before each wait; what it raises ends the following."""
        if self._guard is not None:
            self._guard()

    async def _reset(self, page: Page) -> Reset:
        self._after = position = Position(page.epoch, page.floor)
        snapshot = await self._log.snapshot(self._key, page.floor)
        self._is_over = any(is_last(event) and event.run_id == self._run_id for event in snapshot)
        return Reset(self._key, position, page.status, snapshot)


_NOTHING: Iterator[Event] = iter(())
